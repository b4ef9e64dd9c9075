"""A folder in which arm64 programs run on an x86 machine: Debian's CPython 3.11, aarch64 wheels and QEMU's user emulation.

Nothing is installed and no rights are needed: packages are fetched by apt with a configuration of their own and only
unpacked, wheels are chosen by pip for the other platform, and QEMU's static program is called by name. Files that exist below
the folder shadow the machine's own, so programs there also see the processors and the device tree of a small board.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from support.other_machines import CannotRunError, build_wheel, run

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SUITE = "bookworm"
PYTHON = "3.11"
PACKAGES = (f"python{PYTHON}", "libstdc++6", "libgomp1")
#: glibc 2.31, of Ubuntu 20.04 and so of JetPack 5, is the oldest there is on a supported board.
PLATFORMS = (*(f"manylinux_2_{minor}_aarch64" for minor in range(31, 16, -1)), "manylinux2014_aarch64")
MODEL = "Raspberry Pi 5 Model B Rev 1.0"
_CORES = 2
_CPUINFO = """processor\t: {core}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: 0xd0b
CPU revision\t: 1

"""
_CACHES = (("Data", "64K", "1"), ("Instruction", "64K", "1"), ("Unified", "512K", "2"))


@dataclass(frozen=True)
class Arm64:
    """An unpacked system: `root` shadows /, `site` holds the wheels, `qemu` is the emulator."""

    root: Path
    site: Path
    qemu: Path

    def python(self, *arguments: str) -> list[str]:
        """The command that runs the emulated CPython."""
        python = self.root / "usr" / "bin" / f"python{PYTHON}"
        return [str(self.qemu), "-cpu", "cortex-a76", "-L", str(self.root), str(python), *arguments]

    def environment(self) -> dict[str, str]:
        """The environment its commands need."""
        return {**os.environ, "PYTHONPATH": str(self.site), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def prepare(folder: Path, project: Path, mirror: str = "") -> Arm64:
    """Fetch and unpack everything below `folder`; what is there already is used again.

    Args:
        folder: may be kept for the next time. project: the checkout whose wheel is built and installed.
        mirror: a mirror of Debian; the one this machine's apt uses if empty.

    Raises:
        CannotRunError: a program, the keyring or a mirror is missing, or a download failed.
    """
    check_tools()
    mirror = mirror or debian_mirror()
    system = Arm64(folder / "root", folder / "site", folder / "qemu" / "usr" / "bin" / "qemu-aarch64-static")
    if not system.qemu.exists():
        unpack(fetch(folder / "apt-amd64", "amd64", mirror, ("qemu-user-static",), alone=True), folder / "qemu")
    if not (system.root / "usr" / "bin" / f"python{PYTHON}").exists():
        unpack(fetch(folder / "apt-arm64", "arm64", mirror, PACKAGES), system.root)
    for spent in folder.glob("apt-*"):
        shutil.rmtree(spent)
    _board_files(system.root)
    _install(project, system.site, folder / "wheel")
    return system


def check_tools() -> None:
    """Raise CannotRunError where a tool is missing."""
    for program, package in (("apt-get", "apt"), ("dpkg-deb", "dpkg")):
        if shutil.which(program) is None:
            raise CannotRunError(f"{program} is missing: this script needs a Debian or Ubuntu machine with {package}")
    if not KEYRING.exists():
        raise CannotRunError(f"{KEYRING} is missing: apt-get install debian-archive-keyring")
    if os.uname().machine != "x86_64":
        raise CannotRunError(f"the emulator is fetched for x86_64, and this machine is {os.uname().machine}")


def debian_mirror() -> str:
    """The mirror of Debian in this machine's own apt sources."""
    wanted = ["apt-get", "indextargets", "--format", "$(ORIGIN) $(COMPONENT) $(CODENAME) $(REPO_URI)", "Created-By: Packages"]
    for line in run(wanted, "apt-get indextargets").splitlines():
        origin, component, codename, uri = (line.split() + [""] * 4)[:4]
        if (origin, component) == ("Debian", "main") and "-" not in codename and "security" not in uri:
            return uri
    raise CannotRunError("apt of this machine knows no mirror of Debian: run apt-get update, or give one with --mirror")


def fetch(
    folder: Path, architecture: str, mirror: str, packages: Sequence[str], *, alone: bool = False, suite: str = SUITE
) -> list[Path]:
    """Download packages, with all they depend on unless `alone`, for an architecture; return the .deb files."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror} {suite} main\n")
    options = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "true",
        "Dir::State": folder / "state",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "-",
    }
    apt = ["apt-get", "--quiet=2", *(f"-o{name}={value}" for name, value in options.items())]
    run([*apt, "update"], f"apt-get update for {architecture}")
    what = ["download", *packages] if alone else ["install", "--download-only", "--yes", *packages]
    archives = folder / "cache" / "archives"
    run([*apt, *what], f"the download of {' '.join(packages)} for {architecture}", cwd=archives)
    return sorted(archives.glob("*.deb"))


def unpack(packages: Sequence[Path], target: Path) -> None:
    """Unpack .deb files below `target`, which appears only when whole."""
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    for package in packages:
        run(["dpkg-deb", "--extract", str(package), str(partial)], f"unpacking {package.name}")
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)


def _install(project: Path, site: Path, wheels: Path) -> None:
    """Install the project's wheel and the aarch64 wheels of what it depends on."""
    shutil.rmtree(wheels, ignore_errors=True)
    wheel = build_wheel(project, wheels)
    shutil.rmtree(site, ignore_errors=True)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", str(site)]
    run([*install, *for_aarch64(PYTHON), str(wheel)], "installing aarch64 wheels")


def for_aarch64(python: str) -> list[str]:
    """Options that make pip choose wheels (never sources) for CPython `python` on aarch64 with glibc 2.31 or newer."""
    platforms = [f"--platform={platform}" for platform in PLATFORMS]
    return ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}", *platforms]


def _board_files(root: Path) -> None:
    """What programs look at to learn the machine: a Raspberry Pi 5 with two cores.

    Without them a program would read the x86 machine's own files; ONNX Runtime 1.31 then crashes as it is imported.
    """
    cpus = root / "sys" / "devices" / "system" / "cpu"
    for core in range(_CORES):
        for index, (kind, size, level) in enumerate(_CACHES):
            cache = cpus / f"cpu{core}" / "cache" / f"index{index}"
            cache.mkdir(parents=True, exist_ok=True)
            for name, value in (("type", kind), ("size", size), ("level", level), ("shared_cpu_list", str(core))):
                (cache / name).write_text(value + "\n")
    for name in ("possible", "present", "online"):
        (cpus / name).write_text(f"0-{_CORES - 1}\n")
    (root / "proc" / "device-tree").mkdir(parents=True, exist_ok=True)
    (root / "proc" / "cpuinfo").write_text("".join(_CPUINFO.format(core=core) for core in range(_CORES)))
    (root / "proc" / "device-tree" / "model").write_bytes(MODEL.encode() + b"\0")
