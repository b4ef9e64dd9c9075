"""What checks of boards unlike this machine share: commands with a deadline, agents from a given CPython, runs, distances.

Two machines, or two releases of ONNX Runtime, take sums in another order, so weights are compared within a tolerance that is
measured: how far runs on this machine part whose first weights differ in the last bit.
"""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Any

import numpy as np

from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.kernel.bundle.folder import write_updated
from edgebll.kernel.state.block_state import Array

#: CPython -> the boards that have it as the system's.
PYTHONS = {
    "3.10": "JetPack 6; JetPack 5 with a CPython of one's own",
    "3.11": "Raspberry Pi OS 12",
    "3.12": "JetPack 7",
    "3.13": "Raspberry Pi OS 13",
}
#: Rounding grows from step to step, and at a ReLU's kink by a whole sample's gradient: runs part in leaps, or not at all. So
#: some neighbours are asked, and two correct machines may part a little further than the farthest of them.
NEIGHBOURS, DISTANCE_FACTOR, ACCURACY_TOLERANCE = 6, 1.5, 0.02
#: A download or program that hangs must not hang the script.
DEADLINE_S = 900.0
_READY_S, _END_S = 120.0, 20.0
EDGEBLL = ("-c", "from edgebll.cli import main; main()")
BOARD = ("-c", "from edgebll_devices.commands.main import main; main()")


class CannotRunError(Exception):
    """Something the script needs is not on this machine; the message says what, and how to get it."""


def say(text: str) -> None:
    """Tell whoever waits."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def phase(name: str, seconds: dict[str, float]) -> Iterator[None]:
    """Announce a phase and note how long it took."""
    say(f"{name} ...")
    start = time.perf_counter()
    yield
    seconds[name] = round(time.perf_counter() - start, 1)
    say(f"{name}: {seconds[name]} s")


def run(
    command: Sequence[str], what: str = "", *, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> str:
    """Run a command to its end, within a deadline, and return its stdout.

    Raises:
        CannotRunError: it failed or took too long; names `what`, or else the command.
    """
    what = what or shlex.join(command)
    try:
        done = subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise CannotRunError(f"{what} took more than {DEADLINE_S:g} s; try again later") from error
    if done.returncode:
        raise CannotRunError(f"{what} failed with code {done.returncode}: {(done.stderr or done.stdout).strip()[-1500:]}")
    return done.stdout


def build_wheel(project: Path, folder: Path) -> Path:
    """Build the project's wheel into a folder that has none yet."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    run([*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(project)], "building the wheel")
    (wheel,) = folder.glob("edgebll-*.whl")
    return wheel


@dataclass(frozen=True)
class ServingBoard:
    """An agent that serves: where it listens, its process, its public key or None."""

    name: str
    endpoint: str
    process: subprocess.Popen[bytes]
    public_key: str | None = None

    def table(self) -> str:
        """Its entry of a cluster file."""
        key = f'public_key = "{self.public_key}"\n' if self.public_key else ""
        return f'[[board]]\nname = "{self.name}"\nendpoint = "{self.endpoint}"\n{key}'


@contextmanager
def serving(
    name: str,
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    *options: str,
    public_key: str | None = None,
) -> Iterator[ServingBoard]:
    """Serve as a process until the end of the `with`, where it must end in order on SIGTERM unless it was killed."""
    serve = [*command, "serve", "--listen", "tcp://127.0.0.1:0", "--name", name, "--state", str(folder / name), *options]
    log = folder / f"{name}.log"
    with log.open("w") as stream:
        process = subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=stream, env=dict(environment))
    killer = Timer(_READY_S, process.kill)
    killer.daemon = True
    killer.start()
    try:
        assert process.stdout is not None
        words = process.stdout.readline().decode().split()
        killer.cancel()
        if words[:3] != ["edgebll-board", name, "serving"]:
            raise CannotRunError(f"board {name} does not serve: {log.read_text()[-1500:]}")
        yield ServingBoard(name, words[3], process, public_key)
        if process.poll() == -signal.SIGKILL:
            return
        process.send_signal(signal.SIGTERM)
        if process.wait(_END_S) != 0:
            raise CannotRunError(f"board {name} ended with code {process.returncode}: {log.read_text()[-1500:]}")
    finally:
        killer.cancel()
        process.kill()
        process.communicate()


def make_bundle(folder: Path, network: str, blocks: int) -> Path:
    """A bundle with the weights of a network before training."""
    train = ["train", "--data", "digits", "--network", network, "--blocks", str(blocks), "--epochs", "1", "--limit", "64"]
    run([sys.executable, *EDGEBLL, *train, "--batch-size", "32", "--out", str(folder / "trained")])
    export = ["export", str(folder / "trained"), "--state", "initial", "--out", str(folder / "bundle")]
    run([sys.executable, *EDGEBLL, *export])
    return folder / "bundle"


def train_here(bundle: Path, out: Path, epochs: int, runtime: str) -> dict[str, Any]:
    """Train on this machine, one block after another; return the summary."""
    options = ["--data", "digits", "--boards", "0", "--runtime", runtime, "--epochs", str(epochs), "--out", str(out)]
    run([sys.executable, *EDGEBLL, "simulate", str(bundle), *options])
    return read_summary(out)


def write_cluster(path: Path, boards: Sequence[ServingBoard], host: str) -> Path:
    """Write a cluster file of boards that serve; `host`: the lines of its [host] table."""
    path.write_text(f"[host]\n{host}\n\n" + "\n".join(board.table() for board in boards))
    return path


def run_command(bundle: Path, cluster: Path, out: Path, epochs: int) -> list[str]:
    """Arguments of `edgebll` that train on the boards of a cluster file."""
    return ["run", str(bundle), "--cluster", str(cluster), "--data", "digits", "--epochs", str(epochs), "--out", str(out)]


def read_summary(out: Path) -> dict[str, Any]:
    """The summary a whole run has left."""
    summary: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return summary


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


def nudged(source: Bundle, path: Path, seed: int) -> Path:
    """A bundle whose float32 tensors differ from another's in the last bit, each number up or down as the seed has it."""
    generator = np.random.default_rng(seed)

    def nudge(tensor: Array) -> Array:
        if tensor.dtype != np.float32:
            return tensor
        to = np.where(generator.random(tensor.shape) < 0.5, -np.inf, np.inf).astype(np.float32)
        return np.asarray(np.nextafter(tensor, to))

    states = {
        block.name: {name: nudge(tensor) for name, tensor in source.state(block.name).items()}
        for block in source.manifest.blocks
    }
    write_updated(source, states, path, {})
    return path


def train_as_reference(bundle: Path, folder: Path, epochs: int) -> tuple[dict[str, Any], float]:
    """Train on this machine, one block after another, into `folder`/onnxruntime; its summary, and how far others may part."""
    here, source, farthest = train_here(bundle, folder / "onnxruntime", epochs, "onnxruntime"), open_bundle(bundle), 0.0
    for seed in range(NEIGHBOURS):
        out = folder / f"neighbour{seed}"
        train_here(nudged(source, folder / f"nudged{seed}", seed), out, epochs, "onnxruntime")
        farthest = max(farthest, state_distance(out / "bundle", folder / "onnxruntime" / "bundle"))
    return here, DISTANCE_FACTOR * farthest


def judge(folder: Path, here: dict[str, Any], limit: float, summaries: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Every run with its differences to the one on this machine, and whether each is within the tolerance (`fine`).

    Args:
        folder: has the run folders by the names of `summaries`, and that of the run here. here, limit: of `train_as_reference`.
    """
    report: dict[str, Any] = {"distance_limit": limit, "fine": True}
    for name, summary in {"onnxruntime": here, **summaries}.items():
        kept = {key: summary[key] for key in ("accuracy", "loss", "steps", "seconds", "state_sha256")}
        distance = state_distance(folder / name / "bundle", folder / "onnxruntime" / "bundle")
        accuracy = abs(summary["accuracy"] - here["accuracy"])
        report[name] = kept | {"state_distance": distance, "accuracy_difference": accuracy}
        report["fine"] &= distance <= limit and accuracy <= ACCURACY_TOLERANCE
    return report
