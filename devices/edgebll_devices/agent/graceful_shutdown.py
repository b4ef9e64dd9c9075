"""How an agent ends that works for a host: it says so and works on, until the host has moved its blocks and lets it go."""

from __future__ import annotations

import logging
from collections.abc import Callable

from edgebll.kernel.wire import Leaving, Message
from edgebll_devices.service.systemd_notify import ServiceManager
from edgebll_devices.session.session import Session

_log = logging.getLogger(__name__)

#: It is said again and again, in case the host was busy with another incarnation; and so it shows when the host is gone.
_AGAIN_S = 1.0


class GracefulShutdown:
    """An agent's end.

    Args:
        limit_s: how long to wait for the host at most; 0 waits for nobody.
        manager: is told that the service stops.
    """

    def __init__(self, limit_s: float, manager: ServiceManager) -> None:
        self._limit_s, self._manager = limit_s, manager
        self._began_s: float | None = None
        self._told_s = float("-inf")

    def over(self, session: Session | None, now_s: float, tell: Callable[[Session, Message], None]) -> bool:
        """Whether the agent, which is to end, may do so now; otherwise the session's host is told of it now and then."""
        if session is None or session.failure is not None or not self._limit_s:
            return True
        if self._began_s is None:
            self._began_s = now_s
            self._manager.stopping(f"leaves the run {session.run}")
            _log.info("run %s: the agent is to end; waits for the host to move its blocks", session.run)
        left_s = self._limit_s - (now_s - self._began_s)
        if left_s <= 0:
            _log.warning("run %s: the host has not let go within %g s; ends all the same", session.run, self._limit_s)
            return True
        if now_s - self._told_s >= _AGAIN_S and not session.stopping:
            self._told_s = now_s
            tell(session, Leaving(session.run, left_s, incarnation=session.incarnation))
        return False
