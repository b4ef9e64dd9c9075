"""What a service manager is told, and what happens where there is none."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest
from support.service_manager import fake_manager

from edgebll_devices.service.systemd_notify import ServiceManager


@pytest.mark.parametrize("abstract", [False, True])
def test_it_tells_how_it_fares(tmp_path: Path, abstract: bool) -> None:
    with fake_manager(tmp_path, f"@edgebll-{uuid.uuid4().hex}" if abstract else "") as fake:
        manager = ServiceManager({"NOTIFY_SOCKET": fake.address})
        manager.ready("idle")
        manager.status("run 1\nMAINPID=1\x1b" + "x" * 1000)
        manager.alive(0.0)
        manager.stopping("ends")
        manager.close()
        manager.ready("too late")
        fake.drain()
    said = [told for _, told in fake.told]
    assert said[0] == {"READY": "1", "STATUS": "idle"}
    assert said[1].keys() == {"STATUS"}, "the name of a run gives no orders"
    assert said[1]["STATUS"].startswith("run 1?MAINPID=1?xxx")
    assert len(said[1]["STATUS"]) == 200
    assert said[2:] == [{"WATCHDOG": "1"}, {"STOPPING": "1", "STATUS": "ends"}]


def test_it_is_alive_twice_in_the_time_allowed(tmp_path: Path) -> None:
    with fake_manager(tmp_path) as fake:
        manager = ServiceManager({"NOTIFY_SOCKET": fake.address, "WATCHDOG_USEC": "8000000", "WATCHDOG_PID": str(os.getpid())})
        assert manager.period_s == 1.0
        for now_s in (100.0, 101.0, 103.9, 104.0, 105.0, 108.5):
            manager.alive(now_s)
        manager.close()
        fake.drain()
    assert [told for _, told in fake.told] == [{"WATCHDOG": "1"}] * 3


@pytest.mark.parametrize(
    "environment",
    [{"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "-1"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "9", "WATCHDOG_PID": "1"}],
)
def test_it_is_not_watched_where_the_environment_does_not_say_so(tmp_path: Path, environment: dict[str, str]) -> None:
    with fake_manager(tmp_path) as fake:
        manager = ServiceManager({"NOTIFY_SOCKET": fake.address, **environment})
        manager.alive(1.0)
        manager.alive(1e9)
        manager.close()
        fake.drain()
    assert manager.period_s is None
    assert len(fake.told) == 1


def test_without_a_manager_or_with_one_that_is_gone_nothing_happens(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for environment in ({}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}):
        manager = ServiceManager(environment)
        manager.ready("idle")
        manager.close()
    assert not caplog.records
    manager = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "nobody"), "WATCHDOG_USEC": "1000"})
    for now_s in range(100):
        manager.alive(now_s)
    manager.close()
    assert len(caplog.records) == 1, "it is said once"
