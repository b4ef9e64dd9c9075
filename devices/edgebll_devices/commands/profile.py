"""`edgebll-board profile`: what is known of the boards edgebll is made for, and which of them this machine is."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgebll.cli.command_group import example
from edgebll.cli.output import JsonOption, print_json, print_table, say
from edgebll.kernel.errors import ConfigError

if TYPE_CHECKING:
    from edgebll_devices.hardware.profiles import BoardProfile


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(
        short_help="Show what is known of a board, or list all boards.",
        epilog=example("edgebll-board profile", "edgebll-board profile here"),
    )(profile)


def profile(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="A board's name, or `here` for this one; none lists all.")] = "",
    json: JsonOption = False,
    root: Annotated[Path, typer.Option(hidden=True, help="Read the device tree below this folder.")] = Path("/"),
) -> None:
    """Show what is known of a board: processors, memory, GPU, JetPack releases, power modes, sensors; or list all boards."""
    from edgebll_devices.hardware.profiles import detect, load_profiles

    profiles, here = load_profiles(), detect(root)
    if name == "here":
        if here is None:
            raise ConfigError(f"this machine is none of the boards known: {', '.join(profiles)}")
        name = here.name
    if name and name not in profiles:
        raise ConfigError(f"no board is called {name!r}; there are {', '.join(profiles)}")
    if name:
        _show(profiles[name], json)
    elif json:
        print_json({"here": here.name if here else None, "boards": [dataclasses.asdict(one) for one in profiles.values()]})
    else:
        _list(profiles, here)


def _list(profiles: dict[str, BoardProfile], here: BoardProfile | None) -> None:
    rows = [
        ("*" if here and one.name == here.name else "", one.name, one.title, _gpu(one), " ".join(one.jetpack), one.runtime)
        for one in profiles.values()
    ]
    print_table(("", "name", "board", "GPU", "JetPack", "runtime"), rows)
    if here is not None:
        say(f"edgebll-board: this machine is a {here.title}")


def _gpu(one: BoardProfile) -> str:
    return f"{one.gpu.architecture} {one.gpu.compute_capability}" if one.gpu else ""


def _show(one: BoardProfile, json: bool) -> None:
    from edgebll_devices.hardware.profiles import load_jetpacks

    releases = [release for release in load_jetpacks() if release.name in one.jetpack]
    if json:
        print_json({**dataclasses.asdict(one), "jetpack": [dataclasses.asdict(release) for release in releases]})
        return
    print_table((one.name, one.title), _facts(one))
    columns = ("JetPack", "Jetson Linux", "Ubuntu", "CPython", "CUDA", "TensorRT", "export --target")
    if releases:
        shown = [(r.name, " ".join(r.linux), r.ubuntu, r.python, r.cuda, r.tensorrt, r.target) for r in releases]
        print_table(columns, shown)
    if one.power_mode:
        print_table(("nvpmodel -m", "mode"), [(str(m.id), m.name + " (fastest)" * m.fastest) for m in one.power_mode])


def _facts(one: BoardProfile) -> list[tuple[str, str]]:
    def numbers(values: tuple[Any, ...]) -> str:
        return " or ".join(map(str, values))

    sensors = [*one.sensors.power_rails, *one.sensors.temperature_zones]
    rows = [
        ("chip", one.soc),
        ("processors", f"{numbers(one.cores)} {one.cpu}"),
        ("memory", f"{numbers(one.memory_gib)} GiB" + ", shared with the GPU" * (one.gpu is not None)),
        ("GPU", f"{_gpu(one)} (architecture, compute capability)" if one.gpu else "not used"),
        ("begin with", f"--runtime {one.runtime}, threads = {one.threads}, window = {one.window}"),
        ("sensors", ", ".join(sensors)),
        *(("source", source) for source in one.sources),
    ]
    return rows + [("not verified", "; ".join(one.unverified))] * bool(one.unverified)
