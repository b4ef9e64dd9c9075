"""Runs of a few made-up tokens, without a data set and the command line: one block after another, and over boards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.execution.sequential import run_sequential
from edgebll.kernel.runs.listener import Listener
from edgebll.kernel.runs.run_folder import RunFolder
from edgebll.kernel.spec.time_chunks import RESET, chunk_of, reset_at
from edgebll.kernel.state.block_state import Array
from edgebll.kernel.state.block_state import State as BlockState
from edgebll.kernel.wire import EVAL, SNAPSHOT, TRAIN, State, Token
from edgebll_firmware_host.engines.local_processes import RunningAgents
from edgebll_firmware_host.inventory import Cluster
from edgebll_firmware_host.run.cluster_run import run_on_boards
from edgebll_firmware_host.run.metrics_recorder import Recorder
from edgebll_firmware_host.run.run_request import Outcome, RunRequest
from support.tiny_bundle import make_batch


class Silent(Listener):
    """A listener that shows nothing."""


def make_tokens(bundle: Bundle, kinds: Sequence[str], run: str, start: int = 0) -> Iterator[Token]:
    """The first block's tokens of these kinds; batches by place in the stream, the same every time.

    With `start`, what comes after so many training steps and the SNAPSHOT right behind them, as `edgebll.data.token_stream`
    does it.
    """
    step, spec = 0, bundle.manifest.blocks[0]
    trained = [index for index, kind in enumerate(kinds) if kind == TRAIN]
    first = trained[start - 1] + 1 if start else 0
    first += bool(start) and kinds[first] == SNAPSHOT
    for sequence, kind in enumerate(kinds):
        if sequence < first:
            step += kind == TRAIN
            continue
        x, y = make_batch(bundle, sequence)
        told = {"lr": min(0.05, 4.0 / x[0].size)}  # wide blocks diverge at more
        if kind == TRAIN and spec.chunks > 1:
            x = np.ascontiguousarray(chunk_of(x, step, spec.chunks, static=spec.static))
            told[RESET] = reset_at(step, spec.chunks)
        tensors: dict[str, Array] = {"x": x, "y": np.ascontiguousarray(y)} if kind in (TRAIN, EVAL) else {}
        yield Token(run, "block0", kind, sequence - first, step, len(x), told, tensors=tensors)
        step += kind == TRAIN


def run_alone(bundle: Bundle, kinds: Sequence[str]) -> dict[str, BlockState]:
    """Final states of a sequential run."""
    messages = run_sequential(bundle, "alone", make_tokens(bundle, kinds, "alone"))
    return {m.block: m.tensors for m in messages if isinstance(m, State) and m.final}


def run_name(folder: Path) -> str:
    """Name of the run in a folder of a test: boards that serve several tests know runs apart by their names."""
    return f"{folder.parent.name}-{folder.name}"


def run_over(
    bundle: Bundle, kinds: Sequence[str], cluster: Cluster, folder: Path, meanwhile: Callable[[int], None] = lambda _: None
) -> Outcome:
    """A run over boards; `folder` is new. `meanwhile` is called with the step of each token before that is fed."""
    names = tuple(block.name for block in bundle.manifest.blocks)
    steps, name = kinds.count(TRAIN), run_name(folder)

    def stream(start: int) -> Iterator[Token]:
        for token in make_tokens(bundle, kinds, name, start):
            meanwhile(token.step)
            yield token

    request = RunRequest(bundle, name, stream, stall_s=20.0)
    with RunFolder.create(folder, {}) as opened:
        recorder = Recorder(opened, Silent(), names, bundle.manifest.batch_size, steps, steps)
        outcome = run_on_boards(request, RunningAgents(cluster), recorder)
    if SNAPSHOT in kinds:
        assert list((folder / "snapshots").iterdir())
    return outcome
