"""What a microcontroller refuses, as errors: sentences that say what to do."""

from __future__ import annotations

from edgebll.kernel.errors import BoardError, EdgebllError, LinkError
from edgebll_devices.microcontroller.replies import Reason, Refusal
from edgebll_devices.microcontroller.requests import BoardRequest


class BoardRestarted(LinkError):  # noqa: N818  (what happened is not always an error)
    """The microcontroller has begun another life: it has no blocks any more. Exit code 7."""


#: What is otherwise on the board than this side thinks: loading blocks and state again makes up for it.
_LOST = {
    Reason.PLAN_CRC: "has other plans in its memory than were sent",
    Reason.NOT_SET_UP: "does not have the block any more",
    Reason.RUN_NUMBER: "has done another number of runs than this side",
    Reason.INPUTS: "has other inputs in its memory than were sent",
}
_WRONG = {
    Reason.UNKNOWN: "does not know it; flash the firmware of this release: edgebll firmware build",
    Reason.MALFORMED: "expects another length; flash the firmware of this release: edgebll firmware build",
    Reason.RANGE: "has no such memory; use a board with more, or smaller blocks",
    Reason.SLOT: "has no room for one more block; place fewer on it",
}
_GRAPHS = ("step", "forward", "feedback")


def refused(refusal: Refusal, request: BoardRequest) -> EdgebllError:
    """The error that a refusal is.

    Args:
        refusal: what the board said.
        request: what it was asked.
    """
    what = f"the microcontroller was asked for {request.op.name} and"
    if refusal.reason in _LOST:
        return LinkError(f"{what} {_LOST[Reason(refusal.reason)]}; its blocks have to be loaded again")
    if refusal.reason == Reason.PLAN:
        graph, where = refusal.where >> 24, refusal.where & 0xFFFFFF
        name = _GRAPHS[graph] if graph < len(_GRAPHS) else str(graph)
        return BoardError(
            f"the microcontroller refuses the plan of {name} (error {refusal.detail} at byte {where}); export the bundle "
            "again, or build and flash the firmware of this release"
        )
    if refusal.reason in _WRONG:
        return BoardError(f"{what} {_WRONG[Reason(refusal.reason)]}")
    return BoardError(f"{what} refused for a reason {refusal.reason} that this edgebll does not know; use one release for both")
