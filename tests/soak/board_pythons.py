"""Hosts and boards on every CPython that a supported board has, together in one cluster, without torch and onnx.

    python tests/soak/board_pythons.py            (make pythons; about two minutes, asks the package registry)

For each CPython found on this machine: an environment with the wheel and what it needs, golden vectors replayed there, and a
board. Then every CPython is the host of a run over all the boards, with keys; in one more run a board is killed and its blocks
move to another CPython. Releases of ONNX Runtime differ between CPythons, so weights are compared within a tolerance, and
whether they have the same bits is told. Not part of the test suite: it downloads.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
sys.path.insert(0, str(PROJECT / "tests"))

from support.other_machines import (  # noqa: E402
    BOARD,
    DEADLINE_S,
    EDGEBLL,
    PYTHONS,
    CannotRunError,
    ServingBoard,
    build_wheel,
    judge,
    make_bundle,
    phase,
    read_summary,
    run,
    run_command,
    say,
    serving,
    train_as_reference,
    write_cluster,
)

from edgebll.kernel.keys import new_key_pair  # noqa: E402

_VERSION = "import platform; print(platform.python_version())"
_ABOUT = """
import importlib.util, json, platform, numpy, onnxruntime, zmq
print(json.dumps({"python": platform.python_version(), "numpy": numpy.__version__, "onnxruntime": onnxruntime.__version__,
                  "pyzmq": zmq.__version__, "torch": importlib.util.find_spec("torch") is not None,
                  "onnx": importlib.util.find_spec("onnx") is not None}))
"""
#: Steps from snapshot to snapshot, and lines of metrics to be seen before the board is killed.
_SNAPSHOT_EVERY, _KILL_AFTER = 5, 20
_ENVIRONMENT = {**{k: v for k, v in os.environ.items() if k != "PYTHONPATH"}, "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Place:
    """An environment of one CPython."""

    version: str
    python: Path

    @property
    def name(self) -> str:
        """Of its board and its run: `cp310`."""
        return "cp" + self.version.replace(".", "")

    def edgebll(self, *arguments: str) -> list[str]:
        """The host's command there."""
        return [str(self.python), *EDGEBLL, *arguments]


def _largest_error(outputs: list[dict]) -> float:
    """Of those that are more than rounding."""
    return max(row["max_rel_error"] for row in outputs if not row["by_rounding"])


def find_pythons(given: Sequence[Path]) -> dict[str, Path]:
    """Interpreters by version: those given, on PATH, and of pyenv, if they are what they are called."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found: dict[str, Path] = {}
    for version in PYTHONS:
        on_path = shutil.which(f"python{version}")
        for python in [*given, *([Path(on_path)] if on_path else []), *pyenv.glob(f"{version}.*/bin/python")]:
            asked = subprocess.run([python, "-c", _VERSION], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
            if asked.returncode == 0 and asked.stdout.startswith(f"{version}."):
                found[version] = python
                break
        else:
            say(f"CPython {version} ({PYTHONS[version]}): not on this machine, left out; name one with --python")
    return found


def install(version: str, python: Path, wheel: Path, folder: Path) -> tuple[Place, dict[str, Any]]:
    """Make an environment with what a board needs and nothing else; returns it and the versions in it."""
    run([str(python), "-m", "venv", str(folder)], f"making an environment with CPython {version}")
    place = Place(version, folder / "bin" / "python")
    pip = [str(place.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
    run([*pip, str(wheel)], f"installing for CPython {version}", environment=_ENVIRONMENT)
    about: dict[str, Any] = json.loads(run([str(place.python), "-c", _ABOUT], environment=_ENVIRONMENT))
    if about.pop("torch") or about.pop("onnx"):
        raise CannotRunError(f"the environment of CPython {version} has torch or onnx, which boards have not")
    return place, about


def add_data(place: Place) -> None:
    """Install what a host needs beside it to read the digits."""
    pip = [str(place.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "scikit-learn"]
    run(pip, f"installing scikit-learn for CPython {place.version}", environment=_ENVIRONMENT)


def verify(place: Place, bundle: Path) -> dict[str, Any]:
    """Replay golden vectors; returns how many outputs agreed, and the largest error."""
    verified = run([str(place.python), *BOARD, "verify", str(bundle), "--json"], environment=_ENVIRONMENT)
    outputs = json.loads(verified)["outputs"]
    return {"outputs": len(outputs), "largest_error": _largest_error(outputs)}


def train_and_kill(place: Place, bundle: Path, cluster: Path, out: Path, epochs: int, victim: ServingBoard) -> dict[str, Any]:
    """Train, kill a board in the midst of it, and return the summary of the whole run."""
    command = place.edgebll(*run_command(bundle, cluster, out, epochs), "--snapshot-every", str(_SNAPSHOT_EVERY))
    with (out.parent / f"{out.name}.log").open("w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=_ENVIRONMENT)
        deadline, metrics = time.monotonic() + DEADLINE_S, out / "metrics.jsonl"
        while process.poll() is None and victim.process.poll() is None and time.monotonic() < deadline:
            if metrics.exists() and metrics.read_bytes().count(b"\n") >= _KILL_AFTER:
                victim.process.kill()
                victim.process.wait()
            time.sleep(0.01)
        if process.wait(DEADLINE_S) != 0:
            log.seek(0)
            raise CannotRunError(f"the run whose board was killed ended with {process.returncode}: {log.read()[-1500:]}")
    summary = read_summary(out)
    if not summary["recoveries"]:
        raise CannotRunError("the board was killed, and the run did not notice: train more epochs (--epochs)")
    return summary


def compare(places: Sequence[Place], folder: Path, options: argparse.Namespace, report: dict[str, Any]) -> bool:
    """Everything after the set-up; fills the report and says whether all is well."""
    seconds = report["seconds"]
    with phase("export", seconds):
        bundle = make_bundle(folder, options.network, options.blocks)
    for place in places:
        with phase(f"golden vectors on CPython {place.version}", seconds):
            report["pythons"][place.version]["golden"] = verify(place, bundle)
            add_data(place)
    with phase("training here, one block after another", seconds):
        here, limit = train_as_reference(bundle, folder, options.epochs)
    summaries: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:
        host, boards = new_key_pair(folder / "host.key").public, []
        for place in places:
            key = folder / f"{place.name}.key"
            public, keys = new_key_pair(key).public, ("--key", str(key), "--allow", host)
            command = [str(place.python), *BOARD]
            board = serving(place.name, command, folder, _ENVIRONMENT, *keys, public_key=public)
            boards.append(stack.enter_context(board))
        cluster = write_cluster(folder / "cluster.toml", boards, 'deadline_s = 10.0\nkey = "host.key"')
        for place in places:
            with phase(f"host on CPython {place.version}", seconds):
                out = folder / f"host-{place.name}"
                run(place.edgebll(*run_command(bundle, cluster, out, options.epochs)), environment=_ENVIRONMENT)
                summaries[out.name] = read_summary(out)
        with phase(f"board on CPython {places[0].version} killed", seconds):
            run_of = (places[-1], bundle, cluster, folder / "killed", options.epochs, boards[0])
            summaries["killed"] = train_and_kill(*run_of)
    report["runs"] = judge(folder, here, limit, summaries)
    return bool(report["runs"]["fine"])


def main() -> int:
    """Print a report as JSON; return 1 if a CPython cannot do it, or none was found."""
    parser = argparse.ArgumentParser(description="Run hosts and boards on every CPython that a supported board has.")
    parser.add_argument("--python", type=Path, action="append", default=[], help="an interpreter; may be given again")
    parser.add_argument("--network", default="resnet8")
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=4)
    options = parser.parse_args()
    report: dict[str, Any] = {"seconds": {}, "pythons": {}}
    try:
        with tempfile.TemporaryDirectory(prefix="edgebll-pythons-") as name:
            folder, places = Path(name), []
            wheel = build_wheel(PROJECT, folder / "wheel")
            for version, python in find_pythons(options.python).items():
                with phase(f"installing for CPython {version}", report["seconds"]):
                    place, report["pythons"][version] = install(version, python, wheel, folder / f"venv{version}")
                places.append(place)
            if len(places) < 2:
                raise CannotRunError("fewer than two CPythons were found: install another, or name it with --python")
            fine = compare(places, folder, options, report)
    except CannotRunError as error:
        say(f"pythons: {error}")
        return 1
    print(json.dumps(report, indent=2))
    say("pythons: passed" if fine else "pythons: FAILED: see the differences above")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
