"""What may be wrong on a Jetson: JetPack, its TensorRT and CUDA as seen from this Python environment, GPU and power mode."""

from __future__ import annotations

import re
from pathlib import Path

from edgebll.cli.health_check import NOTE, OK, PROBLEM, Check
from edgebll.kernel.support.whole_numbers import version_numbers, whole_number
from edgebll_devices.doctor.board_probe import BoardProbe

#: Where the CUDA runtime may be: in JetPack's toolkit, or as a package of the system.
_CUDART = (
    "usr/local/cuda*/targets/*-linux/lib/libcudart.so*",
    "usr/local/cuda*/lib64/libcudart.so*",
    "usr/lib/aarch64-linux-gnu/libcudart.so*",
)
#: Device files of the GPU: JetPack 5 and 6 (nvmap and nvhost), JetPack 7 (as on PCs).
_NODES = ("nvidiactl", "nvidia0", "nvmap", "nvhost-gpu", "nvhost-ctrl-gpu")
_MODE = re.compile(r"^<\s*POWER_MODEL\s+ID\s*=\s*(\d+)\s+NAME\s*=\s*(\S+?)\s*>", re.MULTILINE)
_SUPPORTED = (3, 10)


def jetpack(board: BoardProbe) -> Check:
    """The release, and what to export for it."""
    linux, release = board.jetson_linux(), board.jetpack()
    if release is None:
        advice = "edgebll knows JetPack 5.1 to 7.2: install one of these, or use --runtime onnxruntime"
        return Check("jetpack", NOTE, f"Jetson Linux {linux}, which is in no table of edgebll", advice)
    brings = f"CUDA {release.cuda}, TensorRT {release.tensorrt}; export with --target {release.target}"
    return Check("jetpack", OK, f"JetPack {release.name} (Jetson Linux {linux}): {brings}")


def interpreter(board: BoardProbe) -> Check:
    """Whether this is the CPython that JetPack's TensorRT is made for."""
    release, ours = board.jetpack(), _dotted(board.python)
    if release is None:
        return Check("interpreter", OK, f"CPython {ours}")
    if release.python == ours:
        return Check("interpreter", OK, f"CPython {ours}, as JetPack {release.name}'s TensorRT needs")
    found = f"CPython {ours}, but JetPack {release.name}'s TensorRT is made for {release.python}"
    if version_numbers(release.python) < _SUPPORTED:
        return Check("interpreter", NOTE, found, f"compute on the processors: --runtime onnxruntime{_newer(board)}")
    return Check("interpreter", PROBLEM, found, _recreate(board, release.python))


def _newer(board: BoardProbe) -> str:
    profile, release = board.profile(), board.jetpack()
    if profile is None or release is None or profile.jetpack[-1] == release.name:
        return ""
    return f", or install JetPack {profile.jetpack[-1]}, which this board can run"


def _recreate(board: BoardProbe, python: str) -> str:
    return f"make the environment anew: /usr/bin/python{python} -m venv --clear --system-site-packages {board.environment}"


def tensorrt(board: BoardProbe) -> Check:
    """Whether TensorRT's Python module can be imported here, or only by the system's own Python."""
    if board.importable("tensorrt"):
        return Check("tensorrt", OK, "can be imported")
    places = [path.parent for path in board.find("usr/lib/python3*/dist-packages/tensorrt/__init__.py")]
    folder = f"python{_dotted(board.python)}"
    release = board.jetpack()
    if not places:
        status = NOTE if release is not None and version_numbers(release.python) < _SUPPORTED else PROBLEM
        return Check(
            "tensorrt", status, "not installed", "sudo apt install python3-libnvinfer, or all: sudo apt install nvidia-jetpack"
        )
    shown = "/" + str(places[0].relative_to(board.root))
    if any(folder in place.parts for place in places):
        packages = Path(shown).parent
        link = f"echo {packages} > {board.environment}/lib/{folder}/site-packages/jetpack.pth"
        advice = f"nothing for edgebll, which looks there; for other programs: {link}"
        return Check("tensorrt", OK, f"hidden from this environment, in {shown}", advice)
    version = next(part[len("python") :] for part in places[0].parts if part.startswith("python3"))
    if version_numbers(version) < _SUPPORTED:
        return Check(
            "tensorrt", NOTE, f"only for CPython {version}, in {shown}", "compute on the processors: --runtime onnxruntime"
        )
    return Check("tensorrt", PROBLEM, f"only for CPython {version}, in {shown}", _recreate(board, version))


def cudart(board: BoardProbe) -> Check:
    """Whether the CUDA runtime library is there."""
    found = board.find(*_CUDART)
    if found:
        return Check("cudart", OK, "/" + str(found[-1].relative_to(board.root)))
    release = board.jetpack()
    package = f"cuda-cudart-{release.cuda.replace('.', '-')}" if release else "cuda-cudart-MAJOR-MINOR"
    return Check("cudart", PROBLEM, "libcudart is not there, and TensorRT needs it", f"sudo apt install {package}")


def gpu_access(board: BoardProbe) -> Check:
    """Whether this user may use the GPU's device files."""
    nodes = [path for name in _NODES if (path := board.root / "dev" / name).exists()]
    if not nodes:
        advice = "boot JetPack's own kernel; in a container: docker run --runtime nvidia"
        return Check("gpu access", PROBLEM, "the GPU has no device files", advice)
    shut = [f"/dev/{path.name}" for path in nodes if not board.usable(path)]
    if shut:
        advice = "sudo usermod -aG video,render $USER, then log in again"
        return Check("gpu access", PROBLEM, f"this user may not use {', '.join(shut)}", advice)
    return Check("gpu access", OK, ", ".join(f"/dev/{path.name}" for path in nodes))


def power_mode(board: BoardProbe) -> Check:
    """The power mode, by the board's own table in /etc/nvpmodel.conf, and whether a faster one exists."""
    modes = {int(number): name for number, name in _MODE.findall(board.text("etc/nvpmodel.conf"))}
    now = whole_number(board.text("var/lib/nvpmodel/status").removeprefix("pmode:"))
    if not modes or now is None:
        return Check("power mode", NOTE, "not known", "ask the board: sudo nvpmodel -q")
    name = modes.get(now, f"mode {now}")
    fastest = _fastest(board, modes)
    if fastest is None or modes.get(fastest) == name:
        return Check("power mode", OK, name)
    return Check("power mode", NOTE, f"{name}, and {modes[fastest]} is faster", f"sudo nvpmodel -m {fastest}")


def _fastest(board: BoardProbe, modes: dict[int, str]) -> int | None:
    profile = board.profile()
    marked = [mode.name for mode in profile.power_mode if mode.fastest] if profile else []
    return next((number for number, name in modes.items() if name.startswith("MAXN") or name in marked), None)


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
