"""On the word of a run or a bundle nothing of the user's is imported whose content it does not say."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgebll.kernel.errors import BundleError, ConfigError
from edgebll.kernel.own_code import CodeOrigin, resolve
from edgebll.kernel.support.atomic_files import sha256_file
from edgebll.kernel.tasks import task_of_record

EVIL = "from pathlib import Path\nPath({ran!r}).touch()\n\ndef f():\n    return 7\n"


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file that is there once the user's evil.py, in the working directory, was imported."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    modules = set(sys.modules)
    Path("evil.py").write_text(EVIL.format(ran=str(tmp_path / "ran")))
    yield tmp_path / "ran"
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.mark.parametrize("reference", ["evil:f", "{here}/evil.py:f", "./evil.py:f", "evil:nothing"])
def test_a_reference_without_content_imports_nothing(reference: str, ran: Path) -> None:
    recorded = CodeOrigin(reference.format(here=Path.cwd()))
    with pytest.raises(ConfigError, match=r"evil\.py, whose content was not written down with it, so it is not run"):
        resolve("task", "x", {}, recorded)
    assert not ran.exists()


def test_the_content_of_another_file_is_not_that_of_this_one(ran: Path) -> None:
    Path("good.py").write_text("x = 1\n")
    good = Path("good.py").absolute()
    with pytest.raises(ConfigError, match="whose content was not written down"):
        resolve("task", "x", {}, CodeOrigin("evil:f", {str(good): sha256_file(good)}))
    assert not ran.exists()


@pytest.mark.parametrize(("record", "name"), [("manifest.json", "evil.py"), ("run.json", "evil.py"), ("", "deadbeef")])
def test_what_came_with_a_bundle_proves_nothing_of_itself(record: str, name: str, ran: Path) -> None:
    """Not even with its right hash, and whatever it is called, as files in the cache of a board are."""
    file = Path.cwd() / "sent" / "block0" / name
    file.parent.mkdir(parents=True)
    file.write_bytes(Path("evil.py").read_bytes())
    if record:
        (file.parent.parent / record).write_text("{}")
    with pytest.raises(ConfigError, match="not run on the word of a file"):
        resolve("task", "x", {}, CodeOrigin(f"{file}:f", {str(file): sha256_file(file)}))
    assert not ran.exists()


def test_what_it_imports_must_be_written_down_too(ran: Path) -> None:
    Path("good.py").write_text("import evil\n\ndef f():\n    return evil.f()\n")
    good = Path("good.py").absolute()
    with pytest.raises(ConfigError, match=r"is made of .*evil\.py, whose content was not written down with it"):
        resolve("task", "x", {}, CodeOrigin(f"{good}:f", {str(good): sha256_file(good)}))


def test_what_is_imported_when_it_is_called_is_written_down_too(ran: Path) -> None:
    """The same files are found before and after the call, and files that cannot be imported are in no one's way."""
    Path("parts").mkdir()
    Path("parts/__init__.py").write_text("")
    Path("parts/sizes.py").write_text("from . import units\n\nSIZE = 3 * units.ONE\n")
    Path("parts/units.py").write_text("ONE = 1\n")
    Path("broken.py").write_text("def :\n")
    Path("lazy.py").write_text(
        "def f():\n    from parts.sizes import SIZE\n    return SIZE\n\ndef g():\n    import broken, json, torch.nn, no_such\n"
    )
    found = resolve("task", "lazy.py:f", {})
    assert found.origin is not None
    assert sorted(map(str, (Path(file).relative_to(Path.cwd()) for file in found.origin.files))) == [
        "broken.py",
        "lazy.py",
        "parts/__init__.py",
        "parts/sizes.py",
        "parts/units.py",
    ]
    assert found.value() == 3
    again = resolve("task", "lazy.py:f", {}, found.origin)
    assert again.origin == found.origin
    Path("parts/units.py").write_text("ONE = 2\n")
    with pytest.raises(ConfigError, match=r"parts/units\.py, which has changed since"):
        resolve("task", "lazy.py:f", {}, found.origin)


def test_packages_of_edgebll_are_nobodys_own(ran: Path) -> None:
    """Not in a checkout either, where they are no installed package."""
    Path("host.py").write_text("import edgebll_devices, edgebll_export, edgebll_firmware_host\n\ndef f():\n    return 1\n")
    origin = resolve("task", "host.py:f", {}).origin
    assert origin is not None
    assert [Path(file).name for file in origin.files] == ["host.py"]


def test_a_manifest_of_a_stranger_runs_nothing(ran: Path) -> None:
    with pytest.raises(BundleError, match="whose content was not written down"):
        task_of_record({"name": "x", "code": {"reference": "evil:f", "files": {}, "package": ""}}, "manifest.json")
    assert not ran.exists()


def test_files_of_a_python_are_nobodys_own(ran: Path) -> None:
    import shutil

    other = Path.cwd() / "lib" / "python3.9" / "shutil.py"
    other.parent.mkdir(parents=True)
    other.write_bytes(Path(shutil.__file__).read_bytes())
    for file in (other, Path(shutil.__file__)):
        with pytest.raises(ConfigError, match="whose content was not written down"):
            resolve("data set", "x", {}, CodeOrigin(f"{file}:rmtree", {str(file): sha256_file(file)}))


def test_what_was_recorded_is_found_again_from_any_folder(ran: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "__init__.py").write_text("")
    (tmp_path / "nets" / "small.py").write_text("from nets import sizes\n\nclass Net:\n    size = sizes.SIZE\n")
    (tmp_path / "nets" / "sizes.py").write_text("SIZE = 3\n")
    origin = resolve("network", "nets.small:Net", {}).origin
    assert origin is not None
    assert sorted(Path(file).name for file in origin.files) == ["__init__.py", "sizes.py", "small.py"]
    for name in [name for name in sys.modules if name.startswith("nets")]:
        del sys.modules[name]
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place != str(tmp_path)])
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert resolve("network", "it", {}, origin).value.size == 3
    (tmp_path / "nets" / "sizes.py").write_text("SIZE = 4\n")
    with pytest.raises(ConfigError, match=r"nets/sizes\.py, which has changed since"):
        resolve("network", "it", {}, origin)


def test_a_file_that_changed_after_its_import_is_told_of(ran: Path) -> None:
    Path("helper.py").write_text("SIZE = 3\n")
    Path("mine.py").write_text("import helper\n\nclass Mine:\n    size = helper.SIZE\n")
    assert resolve("rule", "mine.py:Mine", {}).value.size == 3
    Path("helper.py").write_text("SIZE = 4\n")
    with pytest.raises(ConfigError, match=r"helper\.py has changed since this Python imported it; start Python anew"):
        resolve("rule", "mine.py:Mine", {})
