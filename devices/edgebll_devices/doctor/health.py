"""What may slow a board down or end its programs: memory, swap, heat and a weak supply."""

from __future__ import annotations

import re
from pathlib import Path

from edgebll.cli.health_check import NOTE, OK, PROBLEM, Check
from edgebll.kernel.limits import read_memory
from edgebll_devices.doctor.board_probe import BoardProbe

_MIB_LITTLE = 1024
#: Building an engine for a large block needs several times its memory; boards of this size have run out.
_MIB_SMALL_BOARD = 9 * 1024
_CELSIUS_NEAR = 5.0
#: Flags of the Raspberry Pi's firmware that hold now; the same, 16 bits higher, have held since boot.
#: https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
_FLAGS = {
    0: "the supply's voltage is too low",
    1: "the clock is capped",
    2: "it is throttled",
    3: "it is at the soft limit of heat",
}
_SINCE_BOOT = 16


def _mib(board: BoardProbe, entry: str) -> int:
    found = re.search(rf"^{entry}:\s+(\d+) kB", board.text("proc/meminfo"), re.MULTILINE)
    return int(found[1]) // 1024 if found else 0


def memory(board: BoardProbe) -> Check:
    """Memory that programs can still get; less than the machine has where a control group or ulimit says so."""
    free, total = _mib(board, "MemAvailable"), _mib(board, "MemTotal")
    found = f"{free / 1024:.1f} of {total / 1024:.1f} GiB available"
    own = read_memory(board.root)
    if own.limited_by:
        free = min(free, own.free_bytes >> 20)
        found += f", but {free / 1024:.1f} of {own.limit_bytes / 2**30:.1f} GiB by {own.limited_by}"
    if free < _MIB_LITTLE:
        return Check("memory", NOTE, found, "end other programs; the desktop too: sudo systemctl isolate multi-user.target")
    return Check("memory", OK, found)


def swap(board: BoardProbe) -> Check:
    """Swap, on disk or in compressed memory (zram)."""
    places = [line.split()[0] for line in board.text("proc/swaps").splitlines()[1:]]
    if places:
        return Check("swap", OK, f"{_mib(board, 'SwapTotal') / 1024:.1f} GiB in {', '.join(places)}")
    if _mib(board, "MemTotal") > _MIB_SMALL_BOARD:
        return Check("swap", OK, "none")
    make = "sudo fallocate -l 8G /swapfile && sudo chmod 600 /swapfile && sudo mkswap /swapfile && sudo swapon /swapfile"
    return Check("swap", NOTE, "none: building an engine may be killed for want of memory", make)


def temperature(board: BoardProbe) -> Check:
    """The zone nearest to the temperature at which Linux slows it down."""
    zones = [zone for path in board.find("sys/class/thermal/thermal_zone*") if (zone := _zone(path)) is not None]
    if not zones:
        return Check("temperature", OK, "no sensor tells it")
    name, now, limit = min(zones, key=lambda zone: (zone[2] or 1000.0) - zone[1])
    found = f"{name} at {now:.0f} °C" + (f", slowed down from {limit:.0f} °C" if limit else "")
    cool = "cool the board (fan, heat sink, air), or choose a lower power mode"
    if limit and now >= limit:
        return Check("temperature", PROBLEM, found, cool)
    if limit and now >= limit - _CELSIUS_NEAR:
        return Check("temperature", NOTE, found, cool)
    return Check("temperature", OK, found)


def _zone(folder: Path) -> tuple[str, float, float | None] | None:
    """Type, temperature and limit of a zone, in degrees; None where it does not answer, as a GPU that sleeps.

    https://docs.kernel.org/driver-api/thermal/sysfs-api.html
    """
    try:
        name, now = (folder / "type").read_text().strip(), int((folder / "temp").read_text()) / 1000
        slows = [path for path in folder.glob("trip_point_*_type") if path.read_text().strip() in ("passive", "hot")]
        limits = [int(path.with_name(path.name.replace("type", "temp")).read_text()) / 1000 for path in slows]
    except (OSError, ValueError):
        return None
    return name, now, min((limit for limit in limits if limit > 0), default=None)


def supply(board: BoardProbe) -> Check:
    """Whether the board was slowed down for want of power, by the firmware's flags or the kernel's counters."""
    profile = board.profile()
    advice = "use the supply and cable that the board's maker names, or a lower power mode"
    for path in board.find(profile.sensors.throttling) if profile and profile.sensors.throttling else ():
        flags = int(path.read_text(), 16)
        now = [text for bit, text in _FLAGS.items() if flags >> bit & 1]
        since = [text for bit, text in _FLAGS.items() if flags >> (bit + _SINCE_BOOT) & 1]
        if now:
            return Check("supply", PROBLEM, "now " + ", ".join(now), advice)
        if since:
            return Check("supply", NOTE, "since boot at times " + ", ".join(since), advice)
    # Orin: oc1 counts low voltage, oc2 too much current on average. oc3, the shortest peaks, also counts on sound boards.
    events = sum(int(path.read_text()) for path in board.find("sys/class/hwmon/hwmon*/oc[12]_event_cnt"))
    if events:
        return Check("supply", NOTE, f"slowed down {events} times since boot for low voltage or too much current", advice)
    return Check("supply", OK, "no sign of a weak one")
