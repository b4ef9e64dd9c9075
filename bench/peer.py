"""edgebll against onnxruntime-training 1.19.2, the last release of ONNX Runtime's on-device training.

    python bench/peer.py [--folder build/peer] [--check]

Both train the same networks from the same weights on the same batch with the same optimiser and one thread, in processes that
take turns; their first losses must agree. Compared are time a step, the highest resident set, installed size, and which of a
list of layers each can train. Makes two virtual environments in the folder on its first run, with nothing but what each side
needs on a device (theirs also has onnx, to prepare its graphs; their __init__ wants torch and is gone around).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from peer_networks import LAYERS, NETWORKS, OPTIMIZERS, write_layer, write_network
from results import machine, table, write_section

ROOT = Path(__file__).parents[1]
WORKER = str(Path(__file__).parent / "peer_worker.py")
PEER = "1.19.2"
#: Packages of each side; onnx and its old companions are what the peer's preparation needs.
PACKAGES = {
    "theirs": [f"onnxruntime-training=={PEER}", "onnx==1.16.2", "numpy<2", "protobuf<5", "ml-dtypes<0.5"],
    "ours": ["--constraint", str(ROOT / "constraints.txt"), str(ROOT)],
}
SIDES = ("theirs", "ours")
BATCHES = (1, 8, 64)
#: Of a turn, in seconds and at most in steps, and turns of each side. In some 800 steps the moments of weights without gradient
#: shrink below the normal floats, with which processors compute many times as slowly, on both sides.
_TURN_S, _MOST, _TURNS = 0.1, 25, 21
#: First losses that must agree; Adam's first steps divide noise by noise, so that only the first does.
_EQUAL = {"SGD": 3, "AdamW": 1}
_ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
_NOT_OURS = ("pip", "setuptools", "wheel", "_distutils_hack", "pkg_resources", "distutils-precedence.pth")


@dataclass(frozen=True)
class Row:
    """Seconds a step and bytes, of theirs and ours."""

    network: str
    optimizer: str
    batch: int
    seconds: tuple[float, float]
    memory: tuple[int, int]


def environments(folder: Path) -> dict[str, Path]:
    """The Python of each side; made where it is missing."""
    pythons = {}
    for side, packages in PACKAGES.items():
        home = folder / side
        pythons[side] = home / "bin" / "python"
        if not (home / "ready").exists():
            print(f"setting up {home}", flush=True)
            venv.create(home, with_pip=True, clear=True)
            subprocess.run([pythons[side], "-m", "pip", "install", "--quiet", *packages], check=True)
            (home / "ready").touch()
    return pythons


def installed(python: Path) -> tuple[int, int]:
    """Bytes of all installed packages, and of those without the peer's CUDA library."""
    packages = next((python.parents[1] / "lib").glob("python*")) / "site-packages"
    files = [path for path in packages.rglob("*") if path.is_file()]
    kept = [path for path in files if not path.relative_to(packages).parts[0].startswith(_NOT_OURS)]
    sizes = {path: path.stat().st_size for path in kept if "__pycache__" not in path.parts}
    return sum(sizes.values()), sum(size for path, size in sizes.items() if "providers_cuda" not in path.name)


def prepare(python: Path, folder: Path, optimizer: str) -> str | None:
    """Their artifacts; the reason where they cannot be made."""
    command = [str(python), WORKER, "prepare", str(folder / "forward.onnx"), str(folder / "theirs"), optimizer]
    done = subprocess.run(command, env=_ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        return _last_line(done.stderr)
    (folder / "theirs" / "batch.npz").symlink_to(folder / "batch.npz")
    return None


class Side:
    """A process that trains."""

    def __init__(self, python: Path, side: str, folder: Path) -> None:
        place = folder / "theirs" if side == "theirs" else folder
        self._process = subprocess.Popen(
            [str(python), WORKER, "train", side, str(place)],
            env=_ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.losses: list[float] = json.loads(self._read())

    def seconds(self, steps: int) -> float:
        """Time a step over some steps."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{steps}\n")
        self._process.stdin.flush()
        return float(self._read())

    def end(self) -> int:
        """Let the process end; returns its highest resident set in bytes."""
        out, _ = self._process.communicate(timeout=60)
        return int(out)

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            _, error = self._process.communicate(timeout=60)
            raise RuntimeError(_last_line(error))
        return line


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it ended without a word"])[-1]


def measure(pythons: dict[str, Path], network: str, optimizer: str, batch: int) -> Row:
    """One row: both sides in turns."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "case"
        write_network(network, batch, folder, optimizer)
        reason = prepare(pythons["theirs"], folder, optimizer)
        if reason is not None:
            raise RuntimeError(reason)
        sides = [Side(pythons[side], side, folder) for side in SIDES]
        theirs_first, ours_first = (side.losses[: _EQUAL[optimizer]] for side in sides)
        if any(abs(a - b) > 1e-3 for a, b in zip(theirs_first, ours_first, strict=True)):
            raise RuntimeError(f"the losses differ: {theirs_first}, {ours_first}")
        steps = [min(_MOST, max(1, round(_TURN_S / side.seconds(3)))) for side in sides]
        times = [[side.seconds(count) for side, count in zip(sides, steps, strict=True)] for _ in range(_TURNS)]
        theirs, ours = (statistics.median(kind) for kind in zip(*times, strict=True))
        memory = [side.end() for side in sides]
    print(f"{network} {optimizer} batch {batch}: {theirs / ours:.2f} times as fast", flush=True)
    return Row(network, optimizer, batch, (theirs, ours), (memory[0], memory[1]))


def trained(pythons: dict[str, Path], layer: str) -> dict[str, str | None]:
    """Why each side cannot train a layer; None where it can."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "case"
        write_layer(layer, folder)
        reasons: dict[str, str | None] = {"theirs": prepare(pythons["theirs"], folder, "SGD"), "ours": None}
        losses = {}
        for side in SIDES:
            if reasons[side] is None:
                try:
                    process = Side(pythons[side], side, folder)
                    losses[side] = process.losses
                    process.end()
                except RuntimeError as error:
                    reasons[side] = str(error)
    if len(losses) == 2 and max(abs(a - b) for a, b in zip(*losses.values(), strict=True)) > 1e-3:
        reasons["theirs"] = f"the losses differ: {losses}"
    print(f"{layer}: {reasons}", flush=True)
    return reasons


def report(rows: Sequence[Row], layers: dict[str, dict[str, str | None]], sizes: dict[str, tuple[int, int]]) -> str:
    """The section of RESULTS.md."""
    header = ["network", "optimiser", "batch", "theirs ms", "ours ms", "times as fast", "theirs MiB", "ours MiB", "ratio"]
    lines = []
    for row in rows:
        theirs, ours = row.seconds
        cells = [f"{1e3 * theirs:.3f}", f"{1e3 * ours:.3f}", f"{theirs / ours:.2f}"]
        cells += [*(f"{size / (1 << 20):.0f}" for size in row.memory), f"{row.memory[1] / row.memory[0]:.2f}"]
        lines.append([row.network, row.optimizer, str(row.batch), *cells])
    networks = "; ".join(f"{name}: {str(make.__doc__).rstrip('.')}" for name, make in NETWORKS.items())
    conditions = (
        f"Conditions: {machine()}; one thread; medians of {_TURNS} turns; memory is the highest resident set of the process. "
        f"Networks: {networks}; cross-entropy."
    )
    return "\n\n".join(
        [f"## Against onnxruntime-training {PEER}", conditions, table(header, lines), _words(rows, layers, sizes)]
    )


def _words(rows: Sequence[Row], layers: dict[str, dict[str, str | None]], sizes: dict[str, tuple[int, int]]) -> str:
    mean = statistics.geometric_mean(row.seconds[0] / row.seconds[1] for row in rows)
    lacking = {side: [name for name, reasons in layers.items() if reasons[side] is not None] for side in SIDES}
    trained = {side: f"{len(layers) - len(lacking[side])} ({'; '.join(lacking[side]) or 'none'} missing)" for side in SIDES}
    size = {side: [f"{number / (1 << 20):.0f} MiB" for number in pair] for side, pair in sizes.items()}
    return (
        f"Geometric mean: {mean:.2f} times as fast. Installed, with all packages needed: theirs {size['theirs'][0]} "
        f"({size['theirs'][1]} without its CUDA library), ours {size['ours'][0]}. Of {len(layers)} kinds of layers, theirs "
        f"trains {trained['theirs']}, ours {trained['ours']}.\n\n"
        "Where ours is behind in time: their optimiser updates all weights in place in one operator, where a plain graph "
        "passes over them once for each multiplication, addition and root, into buffers of their own."
    )


def main() -> int:
    """Measure, print, write; returns the exit status."""
    parser = argparse.ArgumentParser(description="edgebll against onnxruntime-training.")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "peer", help="where the virtual environments are")
    parser.add_argument("--check", action="store_true", help="do not write RESULTS.md")
    options = parser.parse_args()
    if sys.version_info[:2] != (3, 11):
        print(f"onnxruntime-training {PEER} has no wheel for this Python; use CPython 3.11", file=sys.stderr)
        return 2
    pythons = environments(options.folder)
    cases = [(network, optimizer, batch) for network in NETWORKS for optimizer in OPTIMIZERS for batch in BATCHES]
    rows = [measure(pythons, *case) for case in cases]
    layers = {layer: trained(pythons, layer) for layer in LAYERS}
    text = report(rows, layers, {side: installed(python) for side, python in pythons.items()})
    print(text)
    if not options.check:
        write_section("peer", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
