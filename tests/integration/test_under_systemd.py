"""The agent under a real systemd, with what devices/edgebll-board.service says of the service, but for user and folders."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.direct_host import PATIENCE_S, DirectHost
from support.tiny_bundle import make_tiny_bundle
from support.user_systemd import UserSystemd, user_systemd, why_not

from edgebll.kernel.wire import Leaving

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())

SHIPPED = Path(__file__).parents[2] / "devices" / "edgebll-board.service"
TAKEN = ("Type=", "NotifyAccess=", "KillSignal=", "TimeoutStopSec=", "Restart=", "RestartSec=", "RestartPreventExitStatus=")
BOARD = "board.service"
#: Long enough for a loaded machine: the agent tells that it lives every eighth of it at the latest.
WATCHDOG_S = 5


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[UserSystemd]:
    lines = [line for line in SHIPPED.read_text().splitlines() if line.startswith(TAKEN)]
    assert len(lines) == len(TAKEN)
    script = tmp_path / "board.py"
    script.write_text(f"import sys\nsys.path[:] = {sys.path!r}\nfrom edgebll_devices.commands.main import main\nmain()\n")
    serve = f"{sys.executable} {script} serve --listen tcp://127.0.0.1:0 --name orin --state {tmp_path / 'state'}"
    # Of a process that is frozen no core is to be had.
    unit = ["[Service]", *lines, f"WatchdogSec={WATCHDOG_S}", "TimeoutAbortSec=1", f"ExecStart={serve}"]
    with user_systemd({BOARD: unit}, {"OMP_NUM_THREADS": "1"}) as systemd:
        yield systemd


def endpoint(systemd: UserSystemd) -> str:
    """Where the board listens, as it tells systemd."""
    words = systemd.show(BOARD, "StatusText").split()
    assert words[:-1] == ["board", "orin", "waits", "for", "a", "host", "at"]
    return words[-1]


def test_it_has_started_when_it_can_be_used_and_one_that_hangs_is_started_again(systemd: UserSystemd) -> None:
    systemd.ctl("start", BOARD)
    with DirectHost(endpoint(systemd), "run") as host:
        host.hello()
        host.stop()
    os.kill(int(systemd.show(BOARD, "MainPID")), signal.SIGSTOP)
    systemd.await_property(BOARD, "NRestarts", "1")
    systemd.await_property(BOARD, "ActiveState", "active")
    with DirectHost(endpoint(systemd), "run") as host:
        host.hello()
        host.stop()
    assert systemd.show(BOARD, "NRestarts") == "1", "and one that does not hang is left alone"


def test_a_stop_waits_until_the_host_lets_go(systemd: UserSystemd, tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path / "bundle", blocks=1)
    systemd.ctl("start", BOARD)
    with DirectHost(endpoint(systemd), "run") as host:
        host.start(bundle, ("block0",))
        assert systemd.show(BOARD, "StatusText") == "run run, incarnation 0"
        stopping = systemd.popen("stop", BOARD)
        host.expect(Leaving)
        assert systemd.show(BOARD, "StatusText") == "leaves the run run"
        assert stopping.poll() is None
        host.stop()
        assert stopping.communicate(timeout=PATIENCE_S) == (None, b"")
    found = [systemd.show(BOARD, name) for name in ("ActiveState", "Result", "ExecMainStatus", "NRestarts")]
    assert found == ["inactive", "success", "0", "0"]
