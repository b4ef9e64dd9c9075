"""Which commands `edgebll` has, where each lives, and what the overview says of it; each is imported when it is asked for."""

from __future__ import annotations

from typing import NamedTuple


class CommandRow(NamedTuple):
    """A command.

    Attributes:
        name: as it is typed.
        target: "module:function", or "module:app" for a group of commands.
        summary: one line for the overview.
        panel: the heading it stands under there.
        examples: how it is called, for the end of its help.
    """

    name: str
    target: str
    summary: str
    panel: str
    examples: tuple[str, ...]


LEARN, EXPORT, BOARDS, LOOK = "Learn", "Export", "Boards", "Look"

COMMANDS = (
    CommandRow(
        "train",
        "edgebll.cli.commands.train:train",
        "Train a network on this machine.",
        LEARN,
        ("edgebll train --data digits --network resnet8 --blocks 4 --rule bll --out runs/first",),
    ),
    CommandRow(
        "eval",
        "edgebll.cli.commands.evaluate:evaluate",
        "Evaluate a run or a bundle.",
        LEARN,
        ("edgebll eval runs/first", "edgebll eval bundles/first --data digits --split test"),
    ),
    CommandRow(
        "probe",
        "edgebll.cli.commands.probe:probe",
        "Measure what each block tells of the label.",
        LEARN,
        ("edgebll probe runs/first", "edgebll probe runs/first --cells 3 --picture probe.png"),
    ),
    CommandRow(
        "sample",
        "edgebll_firmware_host.commands.sample:sample",
        "Let a language model write.",
        LEARN,
        ('edgebll sample runs/book --prompt "The " --bytes 400', "edgebll sample runs/boards --boards 4 --seed 1"),
    ),
    CommandRow(
        "reproduce",
        "edgebll.cli.commands.reproduce:reproduce",
        "Train what a table of the papers compares.",
        LEARN,
        ("edgebll reproduce --list", "edgebll reproduce bll-table1 --minutes 30"),
    ),
    CommandRow(
        "sweep",
        "edgebll.cli.commands.sweep:sweep",
        "Train every run that a recipe of yours asks for.",
        LEARN,
        ("edgebll sweep mine.toml -j 4", "edgebll sweep mine.toml --list"),
    ),
    CommandRow(
        "compare",
        "edgebll.cli.commands.compare:compare",
        "Compare runs over their seeds.",
        LEARN,
        ("edgebll compare sweeps/mine/full/runs --picture mine.png",),
    ),
    CommandRow(
        "data",
        "edgebll.cli.commands.data:app",
        "Data sets: list, fetch, check your own.",
        LEARN,
        ("edgebll data list", "edgebll data check photos"),
    ),
    CommandRow(
        "export",
        "edgebll_export.commands.export:export",
        "Export a trained network as ONNX graphs.",
        EXPORT,
        ("edgebll export runs/first --out bundles/first",),
    ),
    CommandRow(
        "verify",
        "edgebll_export.commands.export:verify",
        "Compare a bundle with PyTorch.",
        EXPORT,
        ("edgebll verify bundles/first",),
    ),
    CommandRow(
        "quantize",
        "edgebll_export.commands.quantize:quantize",
        "Add int8 forward graphs to a bundle.",
        EXPORT,
        ("edgebll quantize bundles/first --out bundles/int8",),
    ),
    CommandRow(
        "merge",
        "edgebll_export.commands.merge:merge",
        "Write a trained network as one ONNX model.",
        EXPORT,
        ("edgebll merge runs/first -o model.onnx", "edgebll merge runs/boards -o model.onnx --int8"),
    ),
    CommandRow(
        "state",
        "edgebll.cli.commands.state:state",
        "Write trained weights for PyTorch.",
        EXPORT,
        ("edgebll state runs/first -o weights.safetensors",),
    ),
    CommandRow(
        "nir",
        "edgebll_export.commands.nir:app",
        "Networks for neuromorphic chips: NIR graphs.",
        EXPORT,
        ("edgebll nir run net.nir --dt 1e-4",),
    ),
    CommandRow(
        "export-step",
        "edgebll_export.commands.export_step:export_step",
        "Turn a PyTorch function into one ONNX graph.",
        EXPORT,
        ("edgebll export-step my_model:step --example my_model:example --out step.onnx",),
    ),
    CommandRow(
        "simulate",
        "edgebll_firmware_host.commands.run:simulate",
        "Train a bundle over agents on this machine.",
        BOARDS,
        (
            "edgebll simulate bundles/first --boards 4 --out runs/four",
            "edgebll simulate --virtual bundles/first --boards 16 --measure --link wifi --steps 1000",
        ),
    ),
    CommandRow(
        "run",
        "edgebll_firmware_host.commands.run:run",
        "Train a bundle over the boards of a cluster.",
        BOARDS,
        ("edgebll run bundles/first --cluster cluster.toml --out runs/boards", "edgebll run --resume runs/boards"),
    ),
    CommandRow(
        "plan",
        "edgebll_firmware_host.commands.boards:plan",
        "Show which block would run where.",
        BOARDS,
        ("edgebll plan bundles/first --cluster cluster.toml",),
    ),
    CommandRow(
        "calibrate",
        "edgebll_firmware_host.commands.calibrate:calibrate",
        "Measure steps and links of a cluster's boards.",
        BOARDS,
        ("edgebll calibrate bundles/first --cluster cluster.toml",),
    ),
    CommandRow(
        "devices",
        "edgebll_firmware_host.commands.devices:devices",
        "Ask the boards of a cluster who they are.",
        BOARDS,
        ("edgebll devices --cluster cluster.toml --check",),
    ),
    CommandRow(
        "firmware",
        "edgebll_devices.commands.firmware:app",
        "Build or emulate the firmware of microcontrollers.",
        BOARDS,
        ("edgebll firmware build --board stm32f405 --out fw", "edgebll firmware run --board mps2-an386"),
    ),
    CommandRow(
        "cluster",
        "edgebll_firmware_host.commands.cluster:app",
        "A run that goes on: status, drain, add.",
        BOARDS,
        ("edgebll cluster status runs/boards",),
    ),
    CommandRow(
        "keys",
        "edgebll.cli.commands.keys:app",
        "Keys of hosts and boards.",
        BOARDS,
        ("edgebll keys new host.key",),
    ),
    CommandRow(
        "networks",
        "edgebll.cli.commands.networks:networks",
        "List the networks, or show one.",
        LOOK,
        ("edgebll networks", "edgebll networks resnet8"),
    ),
    CommandRow(
        "rules",
        "edgebll.cli.commands.rules:rules",
        "List the learning rules, or show one.",
        LOOK,
        ("edgebll rules bll", "edgebll rules --network resnet18 --blocks 4"),
    ),
    CommandRow(
        "operators",
        "edgebll_export.commands.operators:operators",
        "List the operators that can be exported.",
        LOOK,
        ("edgebll operators",),
    ),
    CommandRow(
        "doctor",
        "edgebll.cli.commands.doctor:doctor",
        "Check this machine.",
        LOOK,
        ("edgebll doctor", "edgebll doctor --role board"),
    ),
    CommandRow(
        "version",
        "edgebll.cli.commands.version:show_version",
        "Show the version.",
        LOOK,
        ("edgebll version",),
    ),
)
