"""What a board says to a host that it does not work for, in one sentence."""

from __future__ import annotations

from edgebll.kernel.errors import EdgebllError, LinkError
from edgebll.kernel.wire import Failure, Hello, Message, OfRun
from edgebll.kernel.wire.busy_reply import busy_with
from edgebll_devices.agent.run_history import RunHistory
from edgebll_devices.session.session import Session


def refusal(name: str, message: Message, session: Session | None, runs: RunHistory, *, ends: bool) -> Failure:
    """The answer to a message of another host than that of the session.

    Args:
        name: of the board.
        message: what came.
        session: the one it has, if any.
        runs: those it remembers.
        ends: whether it is about to end.
    """
    run, incarnation = (message.run, message.incarnation) if isinstance(message, OfRun) else ("", 0)
    newest = runs.newest(run)
    if ends:
        why = "is about to end; it can be used when it has been started again"
    elif incarnation < newest:
        why = (
            f"has seen incarnation {newest} of the run {run!r}, and this host speaks for incarnation {incarnation}: another "
            "host has taken the run over; end this one"
        )
    elif session is not None:
        why = busy_with(session.run)
    else:
        why = "has no session with this host; if it was restarted, start the run again"
    return Failure(run, LinkError.exit_code, f"board {name} {why}", incarnation=incarnation)


def failing(name: str, hello: Hello, error: EdgebllError) -> Failure:
    """The answer to a host that the board cannot work for because of an error of its own."""
    return Failure(hello.run, error.exit_code, f"board {name}: {error}", incarnation=hello.incarnation)
