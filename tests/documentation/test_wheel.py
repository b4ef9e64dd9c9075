"""The wheel that `make wheel` builds: one for all boards, whole, and installed from a folder as the guide for boards says."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest
from support.documents import ROOT, Document
from support.other_machines import PYTHONS, CannotRunError, build_wheel

GUIDE = Document("docs/how-to/set-up-a-jetson.md").text
ROOMS = {"edgebll": ".", "edgebll_export": "export", "edgebll_devices": "devices", "edgebll_firmware_host": "firmware_host"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, in a folder of its own."""
    try:
        return build_wheel(ROOT, tmp_path_factory.mktemp("dist"))
    except CannotRunError as error:
        pytest.skip(f"building asks the package registry for hatchling: {error}")


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_bytes(archive.read(name))


def test_one_wheel_serves_every_cpython_and_says_its_extras(wheel: Path) -> None:
    told = metadata(wheel)
    assert wheel.name == f"edgebll-{told['Version']}-py3-none-any.whl"
    assert f"dist/{wheel.name}" in GUIDE
    assert told["Requires-Python"] == f">={min(PYTHONS, key=lambda version: int(version.partition('.')[2]))}"
    classifiers = set(told.get_all("Classifier") or [])
    assert {f"Programming Language :: Python :: {version}" for version in PYTHONS} <= classifiers
    assert {"train", "export", "data", "plot", "pair"} <= set(told.get_all("Provides-Extra") or [])
    plain = [line for line in told.get_all("Requires-Dist") or [] if "extra ==" not in line]
    assert not [line for line in plain if line.startswith(("torch", "onnx>", "onnx ", "onnx;"))], "boards need none of these"


def test_everything_is_in_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for package, room in ROOMS.items():
        folder = ROOT / room / package
        ours = {f"{package}/{path.relative_to(folder).as_posix()}" for path in folder.rglob("*.py")}
        assert ours <= names
    assert "edgebll_devices/profile_data/raspberry-pi-5.toml" in names
    assert any(name.endswith("edgebll-board.service") for name in names)
    assert not [name for name in names if name.startswith(("tests", "bench", "docs"))]


def test_it_installs_from_a_folder_alone(wheel: Path, tmp_path: Path) -> None:
    def pip(python: Path | str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    dist = str(wheel.parent)
    got = pip(sys.executable, "download", "--dest", dist, "--only-binary=:all:", str(wheel))
    if got.returncode:
        pytest.skip(f"the package registry cannot be reached: {got.stderr.strip()[-300:]}")
    venv.create(tmp_path / "board", with_pip=True)
    done = pip(tmp_path / "board" / "bin" / "python", "install", "--no-index", "--find-links", dist, str(wheel))
    assert done.returncode == 0, done.stderr
    board = str(tmp_path / "board" / "bin" / "edgebll-board")
    shown = subprocess.run(
        [board, "profile", "orin-nano"], capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False
    )
    assert "Orin Nano" in shown.stdout, shown.stderr
