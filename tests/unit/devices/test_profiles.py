"""Board profiles: what is shipped is whole and consistent, and what is wrong is refused with one sentence."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support.board_roots import make_root, write
from typer.testing import CliRunner

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.board_speeds import load_speeds, profile_folder
from edgebll_devices.commands.app import app
from edgebll_devices.hardware.jetpack import jetson_linux
from edgebll_devices.hardware.profiles import detect, find_jetpack, load_jetpacks, load_profiles

NAMES = ["agx-orin", "orin-nano", "orin-nx", "raspberry-pi-5", "thor", "xavier-nx"]


def test_every_board_of_the_plan_has_a_profile() -> None:
    assert list(load_profiles()) == NAMES
    for profile in load_profiles().values():
        assert profile.runtime == "onnxruntime" or profile.gpu is not None
        assert not profile.jetpack or profile.gpu is not None


def test_targets_follow_the_tensorrt_of_the_release() -> None:
    for release in load_jetpacks():
        major, minor = release.tensorrt.split(".")
        assert release.target == (f"tensorrt-8.{minor}" if major == "8" else f"tensorrt-{major}")


@pytest.mark.parametrize(
    ("linux", "name"),
    [
        ("35.4.1", "5.1"),
        ("36.3.0", "6.0"),
        ("36.4.0", "6.1"),
        ("36.4.3", "6.2"),
        ("36.5", "6.2"),
        ("38.2.1", "7.0"),
        ("39.2.1", "7.2"),
    ],
)
def test_releases_by_jetson_linux(linux: str, name: str) -> None:
    release = find_jetpack(linux)
    assert release is not None
    assert release.name == name


@pytest.mark.parametrize("linux", ["35.1.0", "32.7.1", "3.6", "361.4", "99.0"])
def test_unknown_releases(linux: str) -> None:
    assert find_jetpack(linux) is None


@pytest.mark.parametrize(
    ("board", "name", "linux"),
    [
        ("xavier-jp5", "xavier-nx", "35.4.1"),
        ("orin-jp6", "orin-nano", "36.4.3"),
        ("thor-jp7", "thor", "38.2.0"),
        ("pi", "raspberry-pi-5", None),
    ],
)
def test_boards_are_known_by_their_device_tree(tmp_path: Path, board: str, name: str, linux: str | None) -> None:
    root = make_root(tmp_path, board)
    profile = detect(root)
    assert profile is not None
    assert profile.name == name
    assert jetson_linux(root) == linux


def test_a_module_on_another_makers_carrier(tmp_path: Path) -> None:
    root = make_root(tmp_path, "orin-jp6")
    (root / "proc/device-tree/model").write_bytes(b"Some Maker's Box\0")
    (root / "proc/device-tree/compatible").write_bytes(b"maker,box\0nvidia,p3767-0000\0nvidia,tegra234\0")
    profile = detect(root)
    assert profile is not None
    assert profile.name == "orin-nx"


def test_jetson_linux_from_the_package_list(tmp_path: Path) -> None:
    root = make_root(tmp_path, "orin-jp6")
    (root / "etc/nv_tegra_release").unlink()
    write(
        root,
        "var/lib/dpkg/status",
        "Package: nvidia-l4t-camera\nVersion: 1.2\n\n"
        "Package: nvidia-l4t-core\nStatus: install ok installed\nArchitecture: arm64\nVersion: 36.4.4-20250616085344\n\n",
    )
    assert jetson_linux(root) == "36.4.4"


def test_other_machines_are_no_board(tmp_path: Path) -> None:
    assert detect(tmp_path) is None
    assert jetson_linux(tmp_path) is None


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('name = "thor"', 'name = "odin"', "name and file must be the same"),
        ('jetpack = ["7.0"', 'jetpack = ["9.9"', "no JetPack 9.9"),
        ("threads = 8", 'threads = "8"', "thor.toml.threads: expected int"),
        ("threads = 8", "threads = 80", "threads must be 1 to 14"),
        ("window = 8\n", "", "field 'window' is missing"),
        ('runtime = "tensorrt"', 'runtime = "magic"', "runtime must be one of"),
        ("fastest = true", "fastest = false", "exactly one power mode"),
        ("id = 1", "id = 0", "two power modes have the same id"),
        ('"threads",\n', '"speed",\n', "unverified names no field: speed"),
        ("[gpu]", "[gpu", "is not TOML"),
        ("cores = [12, 14]", "cores = []", "cores must not be empty"),
    ],
)
def test_wrong_profiles_are_refused(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    folder = Path(shutil.copytree(profile_folder(), tmp_path / "profiles"))
    text = (folder / "thor.toml").read_text()
    assert old in text
    (folder / "thor.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=sentence.replace("[", r"\[")):
        load_profiles(folder)


def test_wrong_releases_are_refused(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(profile_folder(), tmp_path / "profiles"))
    text = (folder / "jetpack.toml").read_text()
    (folder / "jetpack.toml").write_text(text.replace('cuda = "11.4"', 'cuda = "new"'))
    with pytest.raises(ConfigError, match=r"JetPack 5\.1: cuda must be a version"):
        load_profiles(folder)


def command(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["profile", *map(str, arguments)], env={"COLUMNS": "160"})
    return result.exit_code, result.stdout if result.exit_code == 0 else result.stderr


def test_the_command_lists_and_shows(tmp_path: Path) -> None:
    root = make_root(tmp_path, "orin-jp6")
    code, text = command("--root", root)
    assert code == 0
    assert all(name in text for name in NAMES)
    assert "*" in next(line for line in text.splitlines() if "orin-nano" in line)
    code, text = command("--json", "--root", root)
    assert json.loads(text)["here"] == "orin-nano"
    code, text = command("here", "--json", "--root", root)
    assert json.loads(text)["gpu"] == {"architecture": "Ampere", "compute_capability": "8.7"}
    assert json.loads(text)["jetpack"][0]["tensorrt"] == "8.5"
    code, text = command("xavier-nx")
    assert "MODE_20W_6CORE (fastest)" in text
    assert "not verified" in text


def test_the_command_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    assert "no board is called 'pi4'; there are agx-orin, " in command("pi4")[1]
    assert "none of the boards known" in command("here", "--root", tmp_path)[1]


def test_profiles_and_unit_are_in_the_wheel(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path)]
    pytest.importorskip("hatchling", reason="the build backend is not installed")
    subprocess.run([*build, str(Path(__file__).parents[3])], check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    installed = tmp_path / "site" / "edgebll_devices" / "profile_data"
    assert {path.name for path in installed.iterdir()} == {path.name for path in profile_folder().iterdir()}
    assert len(list((tmp_path / "site").glob("*.data/data/share/edgebll/edgebll-board.service"))) == 1
    show = (
        "from edgebll.kernel.spec.board_speeds import load_speeds, profile_folder; "
        "from edgebll_devices.hardware.profiles import load_profiles; "
        "print(profile_folder(), *load_profiles(), *load_speeds())"
    )
    done = subprocess.run(
        [sys.executable, "-c", show], cwd=tmp_path / "site", capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == [str(installed), *NAMES, *load_speeds()]
