"""The board agent on real arm64 code: emulated by QEMU, with Debian's CPython 3.11 and aarch64 wheels from the registry.

    python tests/soak/arm64.py            (make arm64; about two minutes, 300 MB of downloads the first time)

Exports a small network, replays its golden vectors on arm64, starts `edgebll-board serve` there, trains on it from this
machine, then on a pipeline of one arm64 and one x86 board, and compares with the same graphs run one after another on x86.
Bits differ between instruction sets - sums are taken in another order - so weights and accuracy are compared within a
tolerance, measured by runs here whose first weights differ in the last bit. It is not part of the test suite: it downloads,
and needs Debian's apt.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
sys.path.insert(0, str(PROJECT / "tests"))

from support.arm64_root import Arm64, prepare  # noqa: E402
from support.other_machines import (  # noqa: E402
    BOARD,
    EDGEBLL,
    CannotRunError,
    ServingBoard,
    judge,
    make_bundle,
    phase,
    read_summary,
    run,
    run_command,
    say,
    serving,
    train_as_reference,
    train_here,
    write_cluster,
)

_ABOUT = """
import json, platform, sys, numpy, onnxruntime, zmq
from edgebll_devices.hardware.profiles import detect
print(json.dumps({"machine": platform.machine(), "python": platform.python_version(), "numpy": numpy.__version__,
                  "onnxruntime": onnxruntime.__version__, "pyzmq": zmq.__version__, "profile": detect().name}))
"""


def _largest_error(outputs: list[dict]) -> float:
    """Of those that are more than rounding."""
    return max(row["max_rel_error"] for row in outputs if not row["by_rounding"])


def train_on(boards: list[ServingBoard], bundle: Path, out: Path, epochs: int) -> dict[str, Any]:
    """Train with `edgebll run` on boards already serving; return the summary."""
    cluster = write_cluster(out.with_suffix(".toml"), boards, "deadline_s = 60.0")
    run([sys.executable, *EDGEBLL, *run_command(bundle, cluster, out, epochs)])
    return read_summary(out)


def compare(system: Arm64, folder: Path, options: argparse.Namespace, report: dict[str, Any]) -> bool:
    """Everything after the set-up; fills the report and says whether all is well."""
    seconds, environment = report["seconds"], system.environment()
    report["arm64"] = json.loads(run(system.python("-c", _ABOUT), environment=environment))
    with phase("export on x86", seconds):
        bundle = make_bundle(folder, options.network, options.blocks)
    with phase("golden vectors on arm64", seconds):
        outputs = json.loads(run(system.python(*BOARD, "verify", str(bundle), "--json"), environment=environment))["outputs"]
    report["golden"] = {
        "outputs": len(outputs),
        "largest_error": _largest_error(outputs),
    }
    with phase("training on x86, one block after another", seconds):
        here, limit = train_as_reference(bundle, folder, options.epochs)
    summaries = {"numpy": train_here(bundle, folder / "numpy", options.epochs, "reference")}
    with ExitStack() as stack:
        with phase("start of the arm64 agent", seconds):
            arm = stack.enter_context(serving("arm", system.python(*BOARD), folder, environment))
        with phase("training on arm64", seconds):
            summaries["alone"] = train_on([arm], bundle, folder / "alone", options.epochs)
        x86 = stack.enter_context(serving("here", [sys.executable, *BOARD], folder, os.environ))
        with phase("training on arm64 and x86 boards", seconds):
            summaries["mixed"] = train_on([arm, x86], bundle, folder / "mixed", options.epochs)
    report["runs"] = judge(folder, here, limit, summaries)
    return bool(report["runs"]["fine"]) and report["arm64"]["machine"] == "aarch64"


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
