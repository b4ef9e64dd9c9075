"""Ports of microcontrollers: whether they may be used, and who answers there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from edgebll.cli.health_check import NOTE, OK, PROBLEM, Check, guarded
from edgebll.kernel.errors import EdgebllError
from edgebll.kernel.transport.serial_address import parse_port
from edgebll_devices.doctor.board_probe import BoardProbe
from edgebll_devices.microcontroller.link import MicrocontrollerLink
from edgebll_devices.microcontroller.microcontroller import check_firmware
from edgebll_devices.microcontroller.replies import BoardReport

_ASK_S = 3.0
#: What an interrupt and the deepest call may still take of a stack.
_STACK_MARGIN = 512
_RULE = 'SUBSYSTEM=="tty", KERNEL=="ttyACM*|ttyUSB*", GROUP="dialout", MODE="0660", TAG+="uaccess"'


def microcontroller_checks(board: BoardProbe, ports: Sequence[str]) -> Iterator[Check]:
    """Which serial devices are plugged in, where there are some, and who answers at ports that were named.

    Args:
        board: the machine.
        ports: to ask, as behind --serial.
    """
    found = board.find("dev/ttyACM*", "dev/ttyUSB*")
    if found:
        yield guarded("serial ports", lambda: _serial_ports(board, found))
    for port in ports:
        yield guarded(port, lambda port=port: _microcontroller(port))  # type: ignore[misc]


def _serial_ports(board: BoardProbe, ports: Sequence[Path]) -> Check:
    closed = [path for path in ports if not board.usable(path)]
    found = ", ".join(f"/dev/{path.name}" for path in ports)
    if not closed:
        return Check("serial ports", OK, found)
    advice = (
        "sudo usermod -aG dialout $USER, then log in again; or a udev rule: "
        f"echo '{_RULE}' | sudo tee /etc/udev/rules.d/70-edgebll.rules && sudo udevadm control --reload && sudo udevadm trigger"
    )
    return Check("serial ports", NOTE, f"{found}, but this user may not use {', '.join(path.name for path in closed)}", advice)


def _microcontroller(port: str) -> Check:
    try:
        link = MicrocontrollerLink(parse_port(port))
        try:
            report = link.greet(_ASK_S)
            check_firmware(report, port)
        finally:
            link.close()
    except EdgebllError as error:
        reason, _, advice = str(error).partition("; ")
        return Check(port, PROBLEM, reason, advice)
    return _judged(port, report)


def _judged(port: str, report: BoardReport) -> Check:
    found = f"{report.board} ({report.kind}), {report.pool_bytes / 1024:.0f} KiB for blocks"
    left = report.stack_bytes - report.stack_used
    if report.stack_bytes:
        found += f", stack {report.stack_used} of {report.stack_bytes} bytes"
    if report.stack_bytes and left < _STACK_MARGIN:
        return Check(port, NOTE, found, "its stack is nearly full: build with a larger stack_bytes in the board's TOML file")
    if report.lost_bytes:
        return Check(
            port, NOTE, f"{found}, {report.lost_bytes} bytes lost", "they came faster than it takes them: lower --baud"
        )
    if report.damaged > report.whole / 10:
        found += f", {report.damaged} of {report.whole + report.damaged} frames damaged"
        return Check(port, NOTE, found, "use a shorter or better cable, or a lower --baud")
    return Check(port, OK, found)
