"""All blocks one after another in this process: the schedule every other one must equal bit for bit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import DataError
from edgebll.kernel.execution.runtime_table import load_block
from edgebll.kernel.execution.stage import HostedBlock, Start
from edgebll.kernel.state.block_state import State
from edgebll.kernel.wire import Message, Token


def run_sequential(
    bundle: Bundle,
    run: str,
    tokens: Iterable[Token],
    *,
    runtime: str = "onnxruntime",
    threads: int = 1,
    start: Start | None = None,
    states: Mapping[str, State] | None = None,
) -> Iterator[Message]:
    """Apply a stream of tokens to all blocks, each token to all of them before the next.

    Args:
        bundle: the blocks.
        run: identifier of the run.
        tokens: see `edgebll.data.token_stream`.
        runtime: one of the runtimes that `runtime_table.load_block` knows.
        threads: threads of one training step, at least 1.
        start: where the stream goes on, as a snapshot says; by default before the first step.
        states: block -> its state at `start`; by default those of the bundle.

    Yields:
        Every Report and State, as boards send them to the host.
    """
    manifest = bundle.manifest
    with contextlib.ExitStack() as stack:
        blocks: dict[str, HostedBlock] = {}
        for spec in manifest.blocks:
            loaded = stack.enter_context(load_block(runtime, bundle, spec.name, threads=threads))
            if states is not None:
                loaded.load_state(states[spec.name])
            blocks[spec.name] = HostedBlock(run, loaded, manifest, start)
        for token in tokens:
            onward: Token | None = token
            for block in blocks.values():
                if onward is None:
                    raise DataError("the stream ended before the last block")  # not reached: only the last gives None
                block.admit(onward)
                applied = block.apply_next()  # in this order of all blocks side streams are never late
                yield applied.message
                onward = applied.onward
                for beside in applied.beside:
                    blocks[beside.block].admit(beside)
