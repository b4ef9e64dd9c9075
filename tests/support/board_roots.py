"""Small root folders of boards, made from the documented formats of the files that `doctor` and the profiles read."""

from __future__ import annotations

from pathlib import Path

RELEASE = "# R{} (release), REVISION: {}, GCID: 38968081, BOARD: {}, EABI: aarch64, DATE: Wed Jan  8 01:49:37 UTC 2025\n"
MEMINFO = "MemTotal: {total} kB\nMemFree: {available} kB\nMemAvailable: {available} kB\nSwapTotal: {swap} kB\n"
#: /etc/nvpmodel.conf begins with the knobs; the modes that use them follow.
KNOBS = "< PARAM TYPE=FILE NAME=CPU_ONLINE >\nCORE_0 /sys/devices/system/cpu/cpu0/online\n"
POWER_MODES = {
    "xavier-jp5": {2: "MODE_15W_6CORE", 8: "MODE_20W_6CORE"},
    "orin-jp6": {0: "15W", 1: "25W", 2: "MAXN_SUPER"},
    "thor-jp7": {0: "MAXN", 1: "120W"},
}
MODELS = {
    "xavier-jp5": ("NVIDIA Jetson Xavier NX Developer Kit", "nvidia,p3509-0000+p3668-0001\0nvidia,tegra194"),
    "orin-jp6": (
        "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
        "nvidia,p3768-0000+p3767-0005-super\0nvidia,p3767-0005\0nvidia,tegra234",
    ),
    "thor-jp7": ("NVIDIA Jetson AGX Thor Developer Kit", "nvidia,p4071-0000+p3834-0008\0nvidia,p3834-0008\0nvidia,tegra264"),
    "pi": ("Raspberry Pi 5 Model B Rev 1.0", "raspberrypi,5-model-b\0brcm,bcm2712"),
}
RELEASES = {"xavier-jp5": (35, "4.1", "t186ref"), "orin-jp6": (36, "4.3", "generic"), "thor-jp7": (38, "2.0", "generic")}
MODES = {"xavier-jp5": 8, "orin-jp6": 2, "thor-jp7": 0}
PYTHONS = {"xavier-jp5": "3.8", "orin-jp6": "3.10", "thor-jp7": "3.12"}
CUDA = {"xavier-jp5": "11.4", "orin-jp6": "12.6", "thor-jp7": "13.0"}


def make_root(folder: Path, board: str) -> Path:
    """A root folder of a board on which all is well: xavier-jp5, orin-jp6, thor-jp7 or pi."""
    model, compatible = MODELS[board]
    write(folder, "proc/device-tree/model", model + "\0")
    write(folder, "proc/device-tree/compatible", compatible + "\0")
    write(folder, "proc/meminfo", MEMINFO.format(total=7800000, available=6200000, swap=3900000))
    write(folder, "proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n/dev/zram0 partition 3900000 0 5\n")
    zone(folder, 0, "cpu-thermal", 48.0, {"passive": 99.0, "critical": 104.5})
    if board == "pi":
        write(folder, "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled", "0\n")
        return folder
    major, revision, name = RELEASES[board]
    write(folder, "etc/nv_tegra_release", RELEASE.format(major, revision, name))
    modes = (f"< POWER_MODEL ID={mode} NAME={name} >\nCPU_ONLINE CORE_0 1\n" for mode, name in POWER_MODES[board].items())
    write(folder, "etc/nvpmodel.conf", KNOBS + "".join(modes) + "< PM_CONFIG DEFAULT=1 >\n")
    write(folder, "var/lib/nvpmodel/status", f"pmode:{MODES[board]:04d}\n")
    write(folder, f"usr/lib/python{PYTHONS[board]}/dist-packages/tensorrt/__init__.py", "")
    write(folder, f"usr/local/cuda-{CUDA[board]}/targets/aarch64-linux/lib/libcudart.so.{CUDA[board].split('.')[0]}.0", "")
    write(folder, "dev/nvidia0" if board == "thor-jp7" else "dev/nvmap", "")
    return folder


def write(root: Path, name: str, text: str) -> Path:
    """Write a file below the root."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def zone(root: Path, number: int, kind: str, celsius: float, trips: dict[str, float]) -> None:
    """A thermal zone as Linux shows it: temperatures in thousandths of a degree."""
    folder = f"sys/class/thermal/thermal_zone{number}"
    write(root, f"{folder}/type", kind + "\n")
    write(root, f"{folder}/temp", f"{celsius * 1000:.0f}\n")
    for index, (name, at) in enumerate(trips.items()):
        write(root, f"{folder}/trip_point_{index}_type", name + "\n")
        write(root, f"{folder}/trip_point_{index}_temp", f"{at * 1000:.0f}\n")
