"""The host's side of one incarnation in virtual time: what to feed and when, by the code that feeds real boards."""

from __future__ import annotations

from edgebll.kernel.wire import END, Token
from edgebll_firmware_host.policy.next_actions import RunState, room_for
from edgebll_firmware_host.policy.wanted_change import WantedChange
from edgebll_firmware_host.run.token_feeder import TokenFeeder
from edgebll_firmware_host.simulation.block_costs import NEVER, BlockCosts, nanoseconds


class StreamHost:
    """Feeds tokens while the window has room, until the end, a failure that is noticed, or a change.

    Args:
        feeder: numbers the tokens and puts snapshots between them.
        costs: of the placement.
        window: most tokens in flight.
        start_ns: when all blocks are ready.
        until_ns: when a failure is noticed; NEVER for none.
        wanted_ns: from when on a change is wanted; NEVER for none.

    Attributes:
        end_ns: when the incarnation is over at the latest.
        regrouped: whether it ends for a change.
        fed_ns: when the token fed last left.
        finals_ns: when all final states have come; NEVER if they have not.
        written: (training step, when it was on the disk) of each whole snapshot.
    """

    def __init__(
        self,
        feeder: TokenFeeder,
        costs: BlockCosts,
        window: int,
        start_ns: int,
        until_ns: int = NEVER,
        wanted_ns: int = NEVER,
    ) -> None:
        self._feeder, self._costs = feeder, costs
        host = costs.cluster.host
        self._token_ns = nanoseconds(host.token_s + host.report_s * len(costs.boards))
        state_bytes = sum(block.state_bytes for block in costs.manifest.blocks)
        self._disk_ns = nanoseconds(state_bytes / host.disk_bytes_per_s) if host.disk_bytes_per_s else 0
        self._state = RunState(window, float("inf"), float("inf"), {}, set(), start_ns / 1e9)
        self._free_ns, self._wanted_ns = start_ns, wanted_ns
        self._change = WantedChange()
        self.end_ns, self.regrouped = until_ns, False
        self.fed_ns, self.finals_ns = start_ns, NEVER
        self.written: list[tuple[int, int]] = []

    @property
    def may_feed(self) -> bool:
        """Whether there is room for another token, and another token."""
        return room_for(self._state) > 0

    @property
    def done(self) -> int:
        """Tokens that the last block has applied."""
        return self._state.done

    @property
    def exhausted(self) -> bool:
        """Whether END was fed."""
        return self._state.exhausted

    def hear_done(self) -> None:
        """The last block has applied another token."""
        self._state.done += 1

    def feed(self, now_ns: int) -> tuple[Token, int] | None:
        """Feed a token.

        Args:
            now_ns: since when there has been room for it.

        Returns:
            The token, and when it leaves; None where the incarnation is over by then.
        """
        start_ns = max(now_ns, self._free_ns)
        if start_ns >= self.end_ns:
            return None
        if start_ns >= self._wanted_ns and self._change.want(self._feeder.step):
            self._feeder.wanted = True
            for step, written_ns in self.written:  # one that is on its way serves as well
                self._regroup_at(step, max(start_ns, written_ns))
            if start_ns >= self.end_ns:
                return None
        token = self._feeder.next(start_ns / 1e9)
        if token is None:
            return None
        self._state.feed(start_ns / 1e9)
        self._state.exhausted = token.kind == END
        self._free_ns = self.fed_ns = start_ns + self._token_ns
        return token, self._free_ns

    def take_states(self, token: Token, there_ns: int) -> None:
        """The states of all blocks at a SNAPSHOT or END have come by `there_ns`; NEVER if one has not."""
        if there_ns >= self.end_ns:
            return
        if token.kind == END:
            self.finals_ns = there_ns
            return
        before_ns = self.written[-1][1] if self.written else 0
        written_ns = max(there_ns, before_ns) + self._disk_ns
        if written_ns >= self.end_ns:
            return
        self.written.append((token.step, written_ns))
        self._regroup_at(token.step, written_ns)

    def _regroup_at(self, step: int, at_ns: int) -> None:
        """A snapshot of a training step is on the disk by then: the incarnation ends if a change waited for it."""
        if self._change.due(step) and at_ns < self.end_ns:
            self.end_ns, self.regrouped = at_ns, True
