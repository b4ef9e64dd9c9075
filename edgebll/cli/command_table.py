"""Which commands `edgebll` has, where each lives, and what the overview says of it; each is imported when it is asked for."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """A command.

    Attributes:
        name: as it is typed.
        target: "module:function", or "module:app" for a group of commands.
        summary: one line for the overview.
        panel: the heading it stands under there.
    """

    name: str
    target: str
    summary: str
    panel: str


LEARN, EXPORT, BOARDS, LOOK = "Learn", "Export", "Boards", "Look"

COMMANDS = (
    Row("train", "edgebll.cli.commands.train:train", "Train a network on this machine.", LEARN),
    Row("eval", "edgebll.cli.commands.evaluate:evaluate", "Evaluate a run or a bundle.", LEARN),
    Row("reproduce", "edgebll.cli.commands.reproduce:reproduce", "Train what a table of the papers compares.", LEARN),
    Row("data", "edgebll.cli.commands.data:app", "Data sets: list them, fetch their files.", LEARN),
    Row("export", "edgebll_export.commands.export:export", "Export a trained network as ONNX graphs.", EXPORT),
    Row("verify", "edgebll_export.commands.export:verify", "Compare a bundle with PyTorch.", EXPORT),
    Row("quantize", "edgebll_export.commands.quantize:quantize", "Add int8 forward graphs to a bundle.", EXPORT),
    Row(
        "export-step", "edgebll_export.commands.export_step:export_step", "Turn a PyTorch function into one ONNX graph.", EXPORT
    ),
    Row("simulate", "edgebll_firmware_host.commands.run:simulate", "Train a bundle over agents on this machine.", BOARDS),
    Row("run", "edgebll_firmware_host.commands.run:run", "Train a bundle over the boards of a cluster.", BOARDS),
    Row("plan", "edgebll_firmware_host.commands.boards:plan", "Show which block would run where.", BOARDS),
    Row("devices", "edgebll_firmware_host.commands.devices:devices", "Ask the boards of a cluster who they are.", BOARDS),
    Row("cluster", "edgebll_firmware_host.commands.cluster:app", "A run that goes on: status, drain, add.", BOARDS),
    Row("keys", "edgebll.cli.commands.keys:app", "Keys of hosts and boards.", BOARDS),
    Row("networks", "edgebll.cli.commands.networks:networks", "List the networks.", LOOK),
    Row("rules", "edgebll.cli.commands.rules:rules", "List the learning rules.", LOOK),
    Row("operators", "edgebll_export.commands.operators:operators", "List the operators that can be exported.", LOOK),
    Row("doctor", "edgebll.cli.commands.doctor:doctor", "Check this machine.", LOOK),
    Row("version", "edgebll.cli.commands.version:show_version", "Show the version.", LOOK),
)
