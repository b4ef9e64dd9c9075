"""The board agent on real arm64 code: emulated by QEMU, with Debian's CPython 3.11 and aarch64 wheels from the registry.

    python tests/integration/arm64.py            (make arm64; about two minutes, 300 MB of downloads the first time)

Exports a small network, replays its golden vectors on arm64, starts `edgebll-board serve` there, trains on it from this
machine, then on a pipeline of one arm64 and one x86 board, and compares with the same graphs run one after another on x86.
Bits differ between instruction sets - sums are taken in another order - so weights and accuracy are compared within a
tolerance. It is not part of the test suite: it downloads, and needs Debian's apt.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

PROJECT = Path(__file__).parents[2]
sys.path.insert(0, str(PROJECT / "tests"))

from support.arm64_root import Arm64, CannotRunError, prepare, run  # noqa: E402

from edgebll.bundle import open_bundle  # noqa: E402

#: Rounding grows from step to step, and at a ReLU's kink by a whole sample's gradient. How far two correct machines part in an
#: epoch is therefore measured: the plain numpy runtime beside ONNX Runtime, both on x86. Arm64 may part this many times as far.
DISTANCE_FACTOR, ACCURACY_TOLERANCE = 3.0, 0.02
_READY_S, _END_S = 120.0, 20.0
_EDGEBLL = [sys.executable, "-c", "from edgebll.cli import main; main()"]
_BOARD = ["-c", "from edgebll_devices.cli import main; main()"]
_ABOUT = """
import json, platform, sys, numpy, onnxruntime, zmq
from edgebll_devices.profiles import detect
print(json.dumps({"machine": platform.machine(), "python": platform.python_version(), "numpy": numpy.__version__,
                  "onnxruntime": onnxruntime.__version__, "pyzmq": zmq.__version__, "profile": detect().name}))
"""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def phase(name: str, seconds: dict[str, float]) -> Iterator[None]:
    """Announce a phase and note how long it took."""
    say(f"arm64: {name} ...")
    start = time.perf_counter()
    yield
    seconds[name] = round(time.perf_counter() - start, 1)
    say(f"arm64: {name}: {seconds[name]} s")


@contextmanager
def board(name: str, command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """Serve as a process until the end of the `with`; gives its endpoint."""
    serve = [*command, "serve", "--listen", "tcp://127.0.0.1:0", "--name", name, "--state", str(folder / name)]
    log = folder / f"{name}.log"
    with log.open("w") as stream:
        process = subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=stream, env=environment)
    killer = _Alarm(_READY_S, process.kill)
    try:
        assert process.stdout is not None
        words = process.stdout.readline().decode().split()
        killer.cancel()
        if words[:3] != ["edgebll-board", name, "serving"]:
            raise CannotRunError(f"board {name} does not serve: {log.read_text()[-1500:]}")
        yield words[3]
        process.send_signal(signal.SIGTERM)
        if process.wait(_END_S) != 0:
            raise CannotRunError(f"board {name} ended with code {process.returncode}: {log.read_text()[-1500:]}")
    finally:
        killer.cancel()
        process.kill()
        process.communicate()


class _Alarm:
    """Calls a function after some seconds unless cancelled."""

    def __init__(self, seconds: float, function: Callable[[], None]) -> None:
        from threading import Timer

        self._timer = Timer(seconds, function)
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        self._timer.cancel()


def make_bundle(folder: Path, network: str, blocks: int) -> Path:
    """A bundle with the weights of a network before training."""
    train = ["train", "--data", "digits", "--network", network, "--blocks", str(blocks), "--epochs", "1", "--limit", "64"]
    run([*_EDGEBLL, *train, "--batch-size", "32", "--out", str(folder / "trained")])
    run([*_EDGEBLL, "export", str(folder / "trained"), "--state", "initial", "--out", str(folder / "bundle")])
    return folder / "bundle"


def train_here(bundle: Path, out: Path, epochs: int, runtime: str) -> dict[str, Any]:
    """Train on this machine, one block after another; return the summary."""
    run([*_EDGEBLL, "simulate", str(bundle), "--boards", "0", "--runtime", runtime, "--epochs", str(epochs), "--out", str(out)])
    return read_summary(out)


def read_summary(out: Path) -> dict[str, Any]:
    """The summary a whole run has left."""
    summary: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return summary


def train_on(endpoints: dict[str, str], bundle: Path, out: Path, epochs: int) -> dict[str, Any]:
    """Train with `edgebll run` on boards already serving; return the summary."""
    boards = [f'[[board]]\nname = "{name}"\nendpoint = "{endpoint}"\n' for name, endpoint in endpoints.items()]
    cluster = out.with_suffix(".toml")
    cluster.write_text("[host]\ndeadline_s = 60.0\n\n" + "\n".join(boards))
    options = ["--cluster", str(cluster), "--data", "digits", "--epochs", str(epochs), "--out", str(out)]
    run([*_EDGEBLL, "run", str(bundle), *options])
    return read_summary(out)


def state_distance(one: Path, other: Path) -> float:
    """Euclidean distance of the weights, moments and statistics in two bundles over their length, where it is largest."""
    first, second = open_bundle(one), open_bundle(other)
    worst = 0.0
    for block in first.manifest.blocks:
        states = first.state(block.name), second.state(block.name)
        names = [name for name, tensor in states[0].items() if tensor.dtype.kind == "f"]
        actual, expected = (np.concatenate([state[name].ravel() for name in names]).astype(np.float64) for state in states)
        worst = max(worst, float(np.linalg.norm(actual - expected) / np.linalg.norm(expected)))
    return worst


def compare(system: Arm64, folder: Path, options: argparse.Namespace, report: dict[str, Any]) -> bool:
    """Everything after the set-up; fills the report and says whether all is well."""
    seconds, environment = report["seconds"], system.environment()
    report["arm64"] = json.loads(run(system.python("-c", _ABOUT), environment=environment))
    with phase("export on x86", seconds):
        bundle = make_bundle(folder, options.network, options.blocks)
    with phase("golden vectors on arm64", seconds):
        outputs = json.loads(run(system.python(*_BOARD, "verify", str(bundle), "--json"), environment=environment))["outputs"]
    report["golden"] = {"outputs": len(outputs), "largest_error": max(row["max_rel_error"] for row in outputs)}
    with phase("training on x86, one block after another", seconds):
        summaries = {
            "x86": train_here(bundle, folder / "x86", options.epochs, "onnxruntime"),
            "numpy": train_here(bundle, folder / "numpy", options.epochs, "reference"),
        }
    with ExitStack() as stack:
        with phase("start of the arm64 agent", seconds):
            arm = stack.enter_context(board("arm", system.python(*_BOARD), folder, environment))
        with phase("training on arm64", seconds):
            summaries["alone"] = train_on({"arm": arm}, bundle, folder / "alone", options.epochs)
        here = stack.enter_context(board("here", [sys.executable, *_BOARD], folder, dict(os.environ)))
        with phase("training on arm64 and x86 boards", seconds):
            summaries["mixed"] = train_on({"arm": arm, "here": here}, bundle, folder / "mixed", options.epochs)
    for name, summary in summaries.items():
        report[name] = {key: summary[key] for key in ("accuracy", "loss", "steps", "seconds", "state_sha256")}
    return judge(folder, report)


def judge(folder: Path, report: dict[str, Any]) -> bool:
    """Add the differences to the report; whether each is within its tolerance."""
    fine = report["arm64"]["machine"] == "aarch64"
    for name in ("numpy", "alone", "mixed"):
        distance = state_distance(folder / name / "bundle", folder / "x86" / "bundle")
        accuracy = abs(report[name]["accuracy"] - report["x86"]["accuracy"])
        report[name] |= {"state_distance": distance, "accuracy_difference": accuracy}
        limit = DISTANCE_FACTOR * report["numpy"]["state_distance"]
        fine &= distance <= limit and accuracy <= ACCURACY_TOLERANCE
    return fine


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the board agent on emulated arm64 and compare with x86.")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "edgebll" / "arm64"
    parser.add_argument("--cache", type=Path, default=cache, help=f"where downloads are kept [{cache}]")
    parser.add_argument("--mirror", default="", help="a mirror of Debian [the one of this machine's apt]")
    parser.add_argument("--network", default="resnet8")
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--clean", action="store_true", help="remove the downloads afterwards")
    options = parser.parse_args()
    report: dict[str, Any] = {"seconds": {}}
    try:
        with tempfile.TemporaryDirectory(prefix="edgebll-arm64-") as folder:
            with phase("set-up", report["seconds"]):
                system = prepare(options.cache, PROJECT, options.mirror)
            fine = compare(system, Path(folder), options, report)
    except CannotRunError as error:
        say(f"arm64: {error}")
        return 1
    finally:
        if options.clean:
            shutil.rmtree(options.cache, ignore_errors=True)
    print(json.dumps(report, indent=2))
    say("arm64: passed" if fine else "arm64: FAILED: see the differences above")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
