"""The host's loop: greet the boards, place the blocks, feed the stream, collect the final states.

What to do next is decided by `planner.plan`; here are only the sockets and the clock.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from edgebll.bundle import Bundle
from edgebll.codec import payload_bytes
from edgebll.errors import BoardError, LinkTimeout
from edgebll.keys import KeyPair
from edgebll.state import State as BlockState
from edgebll.transport import Sender, poll
from edgebll.wire import END, Failure, Message, Pong, Report, State, Token
from edgebll_firmware_host.board_link import BoardLink, Neighbours
from edgebll_firmware_host.engines import Engine
from edgebll_firmware_host.inventory import Cluster
from edgebll_firmware_host.placement import Placement, block_weights, place
from edgebll_firmware_host.planner import (
    Action,
    BoardState,
    DeclareLost,
    DeclareStalled,
    Feed,
    Finish,
    RunState,
    SendPing,
    plan,
)
from edgebll_firmware_host.recorder import Recorder
from edgebll_firmware_host.snapshots import SnapshotWriter

#: Boards answering, but nothing done for so long: a token was lost on a broken link.
STALL_S = 300.0
_STOP_S = 5.0


@dataclass
class Outcome:
    """What a run over boards ended with.

    Attributes:
        states: block -> final state. placement: board -> blocks. start_seconds: until all blocks were loaded.
        stream_seconds: from the first token to the last final state. bytes_streamed, bytes_shipped: sent by the host as
            tokens and as files.
    """

    states: dict[str, BlockState] = field(default_factory=dict)
    placement: Placement = field(default_factory=lambda: Placement({}))
    start_seconds: float = 0.0
    stream_seconds: float = 0.0
    bytes_streamed: int = 0
    bytes_shipped: int = 0


def run_on_boards(
    bundle: Bundle, run: str, tokens: Iterator[Token], engine: Engine, recorder: Recorder, *, stall_s: float = STALL_S
) -> Outcome:
    """Stream tokens through a bundle's blocks on boards.

    Args:
        bundle: the blocks, with the states to start from. run: identifier of the run. tokens: see `edgebll.stream`.
        engine: provides the boards. recorder: takes every Report.

    Raises:
        LinkError: a board cannot be reached or loses tokens. BoardError: a board failed, ended or fell silent; all
        others are stopped then.
    """
    with engine as cluster:
        used = place([b.name for b in bundle.manifest.blocks], block_weights(bundle), cluster.boards)
        with _links(cluster, used, run) as links:
            loop = _Loop(bundle, run, tokens, engine, recorder, links, used, cluster, stall_s)
            try:
                loop.start()
                loop.stream()
            finally:
                _stop(links)
        return loop.outcome


@contextlib.contextmanager
def _links(cluster: Cluster, placement: Placement, run: str) -> Iterator[dict[str, BoardLink]]:
    with contextlib.ExitStack() as stack:
        links: dict[str, BoardLink] = {}
        for entry in cluster.boards:
            if entry.name in placement.blocks:
                link = BoardLink(entry, run, cluster.keys, cluster.host.deadline_s)
                stack.callback(link.close)
                links[entry.name] = link
        yield links


def _stop(links: Mapping[str, BoardLink]) -> None:
    """Tell every board that the session is over; one that is gone does not matter any more."""
    deadline = time.monotonic() + _STOP_S
    for link in links.values():
        with contextlib.suppress(Exception):
            link.stop(max(0.1, deadline - time.monotonic()))


def neighbours(
    placement: Placement, blocks: Sequence[str], links: Mapping[str, BoardLink], keys: KeyPair | None
) -> dict[str, Neighbours]:
    """For each board: where each block's output goes if the next block is elsewhere, and who may send to this board."""
    result = {name: Neighbours({}, {}, ()) for name in placement.blocks}
    upstream: dict[str, list[str]] = {name: [] for name in placement.blocks}
    if keys is not None:
        upstream[placement.board_of(blocks[0])].append(keys.public)
    endpoints: dict[str, dict[str, str]] = {name: {} for name in placement.blocks}
    next_keys: dict[str, dict[str, str]] = {name: {} for name in placement.blocks}
    for block, following in itertools.pairwise(blocks):
        here, there = placement.board_of(block), placement.board_of(following)
        if here == there:
            continue
        endpoints[here][block] = links[there].data_endpoint
        their_key, our_key = links[there].entry.public_key, links[here].entry.public_key
        if keys is not None and their_key is not None and our_key is not None:
            next_keys[here][block] = their_key
            upstream[there].append(our_key)
    for name in result:
        result[name] = Neighbours(endpoints[name], next_keys[name], tuple(dict.fromkeys(upstream[name])))
    return result


class _Loop:
    """One run; `start` then `stream`."""

    def __init__(
        self,
        bundle: Bundle,
        run: str,
        tokens: Iterator[Token],
        engine: Engine,
        recorder: Recorder,
        links: dict[str, BoardLink],
        placement: Placement,
        cluster: Cluster,
        stall_s: float,
    ) -> None:
        self.outcome = Outcome(placement=placement)
        self._bundle, self._run, self._tokens = bundle, run, tokens
        self._engine, self._recorder, self._links, self._cluster = engine, recorder, links, cluster
        self._blocks = tuple(block.name for block in bundle.manifest.blocks)
        self._snapshots = SnapshotWriter(recorder.folder.path, self._blocks)
        self._sender: Sender | None = None
        now = time.monotonic()
        self._state = RunState(
            window=cluster.host.window,
            deadline_s=cluster.host.deadline_s,
            stall_s=stall_s,
            boards={name: BoardState(now) for name in links},
            missing_finals=set(self._blocks),
            last_progress_s=now,
        )

    def start(self) -> None:
        """Greet all boards, send them their files, assign the blocks and wait until they are loaded."""
        started = time.monotonic()
        placement, keys = self.outcome.placement, self._cluster.keys
        for link in self._links.values():
            link.greet()
        around = neighbours(placement, self._blocks, self._links, keys)
        for name, link in self._links.items():
            self.outcome.bytes_shipped += link.ship(self._bundle, placement.blocks[name])
        for name, link in self._links.items():
            link.assign(placement.blocks[name], around[name])
        for link in self._links.values():
            link.await_ready()
        first = self._links[placement.board_of(self._blocks[0])]
        self._sender = Sender(first.data_endpoint, keys=keys, server_key=first.entry.public_key if keys else None)
        self.outcome.start_seconds = time.monotonic() - started

    def stream(self) -> None:
        """Feed and listen until every final state is here."""
        started = time.monotonic()
        self._state.last_progress_s = started
        for board in self._state.boards.values():
            board.last_heard_s = started
        controls = {id(link.control): link for link in self._links.values()}
        sockets = [link.control for link in self._links.values()]
        try:
            while True:
                decided = plan(self._state, time.monotonic())
                if any(isinstance(self._perform(action), Finish) for action in decided.actions):
                    break
                self._engine.check()
                for ready in poll(sockets, decided.wait_s):
                    self._listen(controls[id(ready)])
            self.outcome.stream_seconds = time.monotonic() - started
        finally:
            if self._sender is not None:
                self._sender.close()

    def _perform(self, action: Action) -> Action:
        now = time.monotonic()
        if isinstance(action, SendPing):
            self._links[action.board].ping()
            self._state.boards[action.board].last_ping_s = now
        elif isinstance(action, Feed):
            self._feed(action.count)
        elif isinstance(action, DeclareLost):
            self._give_up(action)
        elif isinstance(action, DeclareStalled):
            raise LinkTimeout(
                f"no batch has come through for {action.idle_s:.0f} s although all boards answer; a link between boards "
                "lost one: check the network between them and run again"
            )
        return action

    def _give_up(self, lost: DeclareLost) -> None:
        self._engine.check()  # says more where the board's process is known to have ended
        link = self._links[lost.board]
        raise BoardError(
            f"board {link.name} at {link.entry.endpoint} has been silent for {lost.silent_s:.0f} s"
            f"{link.control.diagnosis()}; check the board and run again"
        )

    def _feed(self, count: int) -> None:
        if self._sender is None:
            raise BoardError("the run was not started")
        for token in itertools.islice(self._tokens, count):
            self._sender.send(token, self._cluster.host.deadline_s)
            self.outcome.bytes_streamed += payload_bytes(token)
            self._state.fed += 1
            self._state.exhausted = token.kind == END

    def _listen(self, link: BoardLink) -> None:
        """Take everything a board has said."""
        while (message := link.control.receive(0.0)) is not None:
            self._state.boards[link.name].last_heard_s = time.monotonic()
            self._take(link, message)

    def _take(self, link: BoardLink, message: Message) -> None:
        if isinstance(message, Report):
            self._recorder.take(link.name, message, link.clock_offset_ns)
            self._progress(message.block, message.sequence)
        elif isinstance(message, State):
            if message.final:
                self.outcome.states[message.block] = dict(message.tensors)
                self._state.missing_finals.discard(message.block)
            else:
                self._snapshots.take(message)
            self._progress(message.block, message.sequence)
        elif isinstance(message, Pong):
            link.heard(message)
        elif isinstance(message, Failure):
            raise link.failed(message)

    def _progress(self, block: str, sequence: int) -> None:
        if block == self._blocks[-1]:
            self._state.done = sequence + 1
            self._state.last_progress_s = time.monotonic()
