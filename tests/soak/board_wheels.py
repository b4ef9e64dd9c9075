"""Whether a board can install edgebll without a compiler: an aarch64 wheel of everything it needs, for every CPython.

    python tests/soak/board_wheels.py            (make wheels; half a minute, asks the package registry)

For glibc 2.31 (Ubuntu 20.04, JetPack 5), the oldest on a supported board. Not part of the test suite: it downloads. pip weighs
markers such as `python_version < '3.11'` by its own interpreter; for what edgebll itself asks for they are weighed here.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from packaging.metadata import parse_email
from packaging.requirements import Requirement

PROJECT = Path(__file__).parents[2]
sys.path.insert(0, str(PROJECT / "tests"))

from support.arm64_root import for_aarch64  # noqa: E402
from support.other_machines import PYTHONS, build_wheel  # noqa: E402

_DEADLINE_S = 600.0


def wheels(python: str, folder: Path) -> list[str]:
    """Names of the wheels that pip would install on a board with this CPython.

    Raises:
        RuntimeError: there is none of some package; the message is pip's.
    """
    download = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", *for_aarch64(python)]
    target = folder / python
    needed = requirements(next(folder.glob("edgebll-*.whl")), python)
    done = subprocess.run(
        [*download, "--dest", str(target), *needed], capture_output=True, text=True, timeout=_DEADLINE_S, check=False
    )
    if done.returncode:
        raise RuntimeError("; ".join(re.findall(r"ERROR: (.*)", done.stderr)) or done.stderr[-500:])
    return sorted(path.name for path in target.glob("*.whl"))


def requirements(wheel: Path, python: str) -> list[str]:
    """What a wheel needs, without extras, on Linux on aarch64 with this CPython."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        raw, _ = parse_email(archive.read(name))
    place = {"python_version": python, "platform_machine": "aarch64", "sys_platform": "linux", "extra": ""}
    needed = [Requirement(line) for line in raw.get("requires_dist", [])]
    return [f"{one.name}{one.specifier}" for one in needed if one.marker is None or one.marker.evaluate(place)]


def main() -> int:
    """Print a line for every CPython; return 1 if one of them cannot install."""
    missing = 0
    with tempfile.TemporaryDirectory(prefix="edgebll-wheels-") as name:
        folder = Path(name)
        build_wheel(PROJECT, folder)
        for python, boards in PYTHONS.items():
            try:
                found = wheels(python, folder)
            except RuntimeError as error:
                missing += 1
                print(f"CPython {python} ({boards}): MISSING: {error}", flush=True)
                continue
            native = [" ".join(one.split("-")[:2]) for one in found if "aarch64" in one]
            size = sum(path.stat().st_size for path in (folder / python).glob("*.whl")) / 2**20
            print(f"CPython {python} ({boards}): {len(found)} wheels, {size:.0f} MiB; native: {', '.join(native)}", flush=True)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
