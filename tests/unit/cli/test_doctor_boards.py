"""`edgebll doctor --role board` on folders that stand for boards: a Jetson of each JetPack, and a Raspberry Pi."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.board_roots import MEMINFO, make_root, write, zone
from support.machine_root import UNIFIED, in_groups
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.cli.commands.machine_checks import NOTE, OK, PROBLEM, Check
from edgebll.kernel.keys import new_key_pair
from edgebll_devices.doctor.board_checks import board_checks
from edgebll_devices.doctor.board_probe import BoardProbe

ENVIRONMENT = "/home/user/venv"
JETSON_TOPICS = ["jetpack", "interpreter", "tensorrt", "cudart", "gpu access", "power mode"]
TOPICS = ["memory", "swap", "temperature", "supply", "clock", "key", "engines"]


def look(root: Path, python: tuple[int, int] = (3, 10), **changes: Any) -> dict[str, Check]:
    if not (root / "etc/edgebll/board.key").exists():
        new_key_pair(root / "etc/edgebll/board.key")
    settings = {"importable": lambda module: False, "free_bytes": lambda path: 9 << 30, **changes}
    board = BoardProbe(root=root, python=python, environment=ENVIRONMENT, **settings)
    return {check.topic: check for check in board_checks(board)}


def wrong(checks: dict[str, Check]) -> dict[str, str]:
    return {topic: check.status for topic, check in checks.items() if check.status != OK}


@pytest.fixture(autouse=True)
def no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEBLL_KEY", raising=False)


@pytest.mark.parametrize(("board", "python"), [("orin-jp6", (3, 10)), ("thor-jp7", (3, 12))])
def test_a_sound_jetson(tmp_path: Path, board: str, python: tuple[int, int]) -> None:
    checks = look(make_root(tmp_path, board), python)
    assert list(checks) == ["board", *JETSON_TOPICS, *TOPICS]
    assert not wrong(checks)
    assert "--target tensorrt-10" in checks["jetpack"].found


def test_jetpack_5_computes_on_its_processors(tmp_path: Path) -> None:
    checks = look(make_root(tmp_path, "xavier-jp5"))
    assert wrong(checks) == {"interpreter": NOTE, "tensorrt": NOTE}
    assert checks["interpreter"].found == "CPython 3.10, but JetPack 5.1's TensorRT is made for 3.8"
    assert checks["interpreter"].advice == "compute on the processors: --runtime onnxruntime"
    assert "only for CPython 3.8" in checks["tensorrt"].found


def test_jetpack_5_on_an_orin_can_be_replaced(tmp_path: Path) -> None:
    root = make_root(tmp_path, "xavier-jp5")
    write(root, "proc/device-tree/model", "NVIDIA Jetson AGX Orin Developer Kit\0")
    write(root, "proc/device-tree/compatible", "nvidia,p3701-0005\0")
    assert "or install JetPack 7.2" in look(root)["interpreter"].advice


def test_a_raspberry_pi(tmp_path: Path) -> None:
    checks = look(make_root(tmp_path, "pi"), (3, 11))
    assert list(checks) == ["board", *TOPICS]
    assert not wrong(checks)
    assert "raspberry-pi-5" in checks["board"].found


def _other_release(root: Path) -> None:
    write(root, "etc/nv_tegra_release", "# R32 (release), REVISION: 7.1, GCID: 1\n")


def _no_tensorrt(root: Path) -> None:
    shutil.rmtree(root / "usr/lib")


def _no_cuda(root: Path) -> None:
    shutil.rmtree(root / "usr/local")


def _slow_mode(root: Path) -> None:
    write(root, "var/lib/nvpmodel/status", "pmode:0000\n")


def _no_mode(root: Path) -> None:
    (root / "var/lib/nvpmodel/status").unlink()


def _odd_mode(root: Path) -> None:
    write(root, "var/lib/nvpmodel/status", "pmode:²\n")


def _small_group(root: Path) -> None:
    in_groups(root, UNIFIED, "0::/edgebll\n")
    write(root, "sys/fs/cgroup/edgebll/memory.max", str(300 << 20))


def _little_memory(root: Path) -> None:
    write(root, "proc/meminfo", MEMINFO.format(total=7800000, available=600000, swap=0))


def _no_swap(root: Path) -> None:
    write(root, "proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n")


def _hot(root: Path) -> None:
    zone(root, 3, "tj-thermal", 99.5, {"active": 60.0, "passive": 99.0, "critical": 104.5})


def _warm(root: Path) -> None:
    zone(root, 3, "tj-thermal", 95.0, {"active": 60.0, "passive": 99.0, "critical": 104.5})


def _counted(root: Path) -> None:
    write(root, "sys/class/hwmon/hwmon2/oc1_event_cnt", "0\n")
    write(root, "sys/class/hwmon/hwmon2/oc2_event_cnt", "7\n")


def _open_key(root: Path) -> None:
    (root / "etc/edgebll/board.key").chmod(0o644)


def _no_nodes(root: Path) -> None:
    shutil.rmtree(root / "dev")


@pytest.mark.parametrize(
    ("harm", "topic", "status", "found", "advice"),
    [
        (_other_release, "jetpack", NOTE, "Jetson Linux 32.7.1", "install one of these"),
        (_no_tensorrt, "tensorrt", PROBLEM, "not installed", "sudo apt install python3-libnvinfer"),
        (_no_cuda, "cudart", PROBLEM, "libcudart is not there", "sudo apt install cuda-cudart-12-6"),
        (_no_nodes, "gpu access", PROBLEM, "no device files", "--runtime nvidia"),
        (_slow_mode, "power mode", NOTE, "15W, and MAXN_SUPER is faster", "sudo nvpmodel -m 2"),
        (_no_mode, "power mode", NOTE, "not known", "sudo nvpmodel -q"),
        (_odd_mode, "power mode", NOTE, "not known", "sudo nvpmodel -q"),
        (_small_group, "memory", NOTE, "but 0.3 of 0.3 GiB by the control group", "multi-user.target"),
        (_little_memory, "memory", NOTE, "0.6 of 7.4 GiB available", "multi-user.target"),
        (_no_swap, "swap", NOTE, "may be killed", "sudo swapon /swapfile"),
        (_hot, "temperature", PROBLEM, "tj-thermal at 100 °C, slowed down from 99 °C", "cool the board"),
        (_warm, "temperature", NOTE, "tj-thermal at 95 °C", "cool the board"),
        (_counted, "supply", NOTE, "slowed down 7 times", "supply and cable"),
        (_open_key, "key", PROBLEM, "has mode 0644", "chmod 600"),
    ],
)
def test_what_is_wrong_is_told_with_what_to_do(
    tmp_path: Path, harm: Callable[[Path], None], topic: str, status: str, found: str, advice: str
) -> None:
    root = make_root(tmp_path, "orin-jp6")
    new_key_pair(root / "etc/edgebll/board.key")
    harm(root)
    check = look(root)[topic]
    assert check.status == status
    assert found in check.found
    assert advice in check.advice


def test_an_environment_of_another_python(tmp_path: Path) -> None:
    checks = look(make_root(tmp_path, "orin-jp6"), (3, 11))
    assert wrong(checks) == {"interpreter": PROBLEM, "tensorrt": PROBLEM}
    command = f"/usr/bin/python3.10 -m venv --clear --system-site-packages {ENVIRONMENT}"
    assert command in checks["interpreter"].advice
    assert command in checks["tensorrt"].advice


def test_tensorrt_of_the_system_and_of_the_environment(tmp_path: Path) -> None:
    root = make_root(tmp_path, "orin-jp6")
    hidden = look(root)["tensorrt"]
    assert hidden.status == OK
    assert "hidden from this environment, in /usr/lib/python3.10/dist-packages/tensorrt" in hidden.found
    assert f"{ENVIRONMENT}/lib/python3.10/site-packages/jetpack.pth" in hidden.advice
    assert look(root, importable=lambda module: True)["tensorrt"].found == "can be imported"


def test_a_gpu_that_this_user_may_not_use(tmp_path: Path) -> None:
    check = look(make_root(tmp_path, "orin-jp6"), usable=lambda path: False)["gpu access"]
    assert check.status == PROBLEM
    assert "/dev/nvmap" in check.found
    assert "usermod -aG video,render" in check.advice


def test_a_clock_that_began_in_the_past(tmp_path: Path) -> None:
    root = make_root(tmp_path, "pi")
    check = look(root, now=lambda: 0.0)["clock"]
    assert check.status == NOTE
    assert "says 1970-01-01 00:00 UTC" in check.found
    assert "timedatectl" in check.advice
    saved = write(root, "var/lib/systemd/timesync/clock", "")
    os.utime(saved, (time.time() + 1e7, time.time() + 1e7))
    assert look(root)["clock"].status == NOTE


def test_a_pi_whose_supply_is_weak(tmp_path: Path) -> None:
    root = make_root(tmp_path, "pi")
    flags = next(root.glob("sys/devices/platform/soc*/*/get_throttled"))
    flags.write_text("50005\n")
    check = look(root)["supply"]
    assert check.status == PROBLEM
    assert check.found == "now the supply's voltage is too low, it is throttled"
    flags.write_text("50000\n")
    assert look(root)["supply"].status == NOTE


@pytest.mark.parametrize(("free", "status"), [(1 << 30, NOTE), (1 << 20, PROBLEM)])
def test_little_room_for_engines(tmp_path: Path, free: int, status: str) -> None:
    check = look(make_root(tmp_path, "pi"), free_bytes=lambda path: free)["engines"]
    assert check.status == status
    assert "EDGEBLL_ENGINES" in check.advice


def test_keys_elsewhere_and_nowhere(tmp_path: Path) -> None:
    root = make_root(tmp_path, "pi")
    assert look(root, key=tmp_path / "none")["key"].status == PROBLEM
    pair = new_key_pair(tmp_path / "mine")
    assert pair.public in look(root, key=tmp_path / "mine")["key"].found
    assert pair.secret not in str(look(root, key=tmp_path / "mine"))
    (root / "etc/edgebll/board.key").unlink()
    none = next(check for check in board_checks(BoardProbe(root=root)) if check.topic == "key")
    assert none.status == NOTE
    assert "edgebll keys new /etc/edgebll/board.key" in none.advice


def test_a_board_that_is_not_known(tmp_path: Path) -> None:
    write(tmp_path, "proc/device-tree/model", "Banana Pi\0")
    check = look(tmp_path)["board"]
    assert check.status == NOTE
    assert "Banana Pi" in check.found


def test_the_command_sees_a_board_by_itself(tmp_path: Path) -> None:
    root = make_root(tmp_path, "orin-jp6")
    new_key_pair(root / "etc/edgebll/board.key")
    shutil.rmtree(root / "usr/local")
    result = CliRunner().invoke(app, ["doctor", "--root", str(root), "--json"])
    report = json.loads(result.stdout)
    assert result.exit_code == 1
    assert {check["topic"]: check["status"] for check in report["checks"]}["cudart"] == "problem"
    result = CliRunner().invoke(app, ["doctor", "--root", str(root), "--role", "host", "--json"])
    assert "cudart" not in result.stdout
