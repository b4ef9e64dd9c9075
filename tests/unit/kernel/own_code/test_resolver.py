"""One name, one thing: built in, of a module, of a file, of an installed package; and what is refused, in one sentence."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.own_code import known_names, name_of, reference_of, resolve

FILE = "from beside import LIMIT\n\nclass Small:\n    limit = LIMIT\n\ndef make():\n    return Small()\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's folder, which is not the working directory, with `mine.py` and `beside.py`, which it imports."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    modules = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine.py").write_text(FILE)
    (own / "beside.py").write_text("LIMIT = 3\n")
    yield own
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def install(folder: Path, group: str, target: str) -> None:
    """An installed package that offers one thing called "theirs"."""
    info = folder / "site-packages" / "helpful-1.5.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: helpful\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(f"[{group}]\ntheirs = {target}\n")
    (folder / "site-packages" / "helpful.py").write_text("class Theirs:\n    pass\n")
    sys.path.insert(0, str(folder / "site-packages"))


def test_what_is_built_in_comes_first_and_has_no_origin(folder: Path) -> None:
    found = resolve("rule", "bll", {"bll": int})
    assert (found.value, found.origin, found.recalled) == (int, None, False)


def test_a_file_in_any_folder_with_what_it_imports_from_beside(folder: Path) -> None:
    found = resolve("rule", "own/mine.py:Small", {})
    assert found.value.limit == 3
    assert found.origin is not None
    assert found.origin.reference == f"{folder}/mine.py:Small"
    assert found.origin.short == "mine.py:Small"
    assert list(found.origin.files) == [str(folder / "mine.py"), str(folder / "beside.py")], "a number came from there"


def test_files_that_classes_come_from_are_remembered_too(folder: Path) -> None:
    (folder / "mine.py").write_text("from beside import Base\n\nclass Small(Base):\n    pass\n")
    (folder / "beside.py").write_text("class Base:\n    pass\n")
    found = resolve("rule", f"{folder}/mine.py:Small", {})
    assert found.origin is not None
    assert list(found.origin.files) == [str(folder / "mine.py"), str(folder / "beside.py")]


def test_a_module_of_the_working_directory(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "small.py").write_text("class Net:\n    class Inner:\n        pass\n")
    found = resolve("network", "nets.small:Net.Inner", {})
    assert found.value.__qualname__ == "Net.Inner"
    assert found.origin is not None
    assert found.origin.reference == "nets.small:Net.Inner"
    assert list(found.origin.files) == [str(tmp_path / "nets" / "small.py")]


@pytest.mark.parametrize(("kind", "group"), [("network", "edgebll.networks"), ("data set", "edgebll.data")])
def test_an_installed_package_offers_its_own(folder: Path, kind: str, group: str) -> None:
    install(folder, group, "helpful:Theirs")
    found = resolve(kind, "theirs", {"ours": int})
    assert found.value.__name__ == "Theirs"
    assert found.origin is not None
    assert (found.origin.reference, found.origin.package, found.origin.files) == ("theirs", "helpful 1.5", {})
    assert known_names(kind, {"ours": int}) == ["ours", "theirs"]
    assert resolve(kind, "theirs", {}, found.origin).value is found.value


def test_two_files_of_one_name_are_two_and_a_changed_file_is_read_again(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("class Small:\n    limit = 4\n")
    assert [resolve("rule", name, {}).value.limit for name in ("mine.py:Small", "own/mine.py:Small")] == [4, 3]
    (tmp_path / "mine.py").write_text("class Small:\n    limit = 5\n")
    assert resolve("rule", "mine.py:Small", {}).value.limit == 5
    assert resolve("rule", "mine.py:Small", {}).value is resolve("rule", "mine.py:Small", {}).value


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("greedi", "", "unknown rule 'greedi'; known are bll; one of your own goes by FILE.py:NAME or MODULE:NAME"),
        ("bad.py", "", "bad.py is a file; say which of its names is the rule, e.g. bad.py:NAME"),
        ("bad.py:", "", "a rule of your own is given as FILE.py:NAME or MODULE:NAME, not 'bad.py:'"),
        ("absent.py:Mine", "", "absent.py cannot be read (No such file or directory); give the path of a Python file"),
        ("absent:Mine", "", "there is no module 'absent' in"),
        ("bad.py:Mine", "class Other:\n    pass\n", "bad.py has no 'Mine'; its names are Other"),
        ("bad.py:Mine", "x = (\n", "importing bad.py fails: SyntaxError: '(' was never closed (line 1 of bad.py)"),
        ("bad.py:Mine", "\nx = 1 / 0\n", "importing bad.py fails: ZeroDivisionError: division by zero (line 2 of bad.py)"),
        ("bad.py:Mine", "import nowhere\n", "importing bad.py fails: No module named 'nowhere'"),
        ("bad.py:Mine", "raise SystemExit(3)\n", "importing bad.py fails: SystemExit: 3 (line 1 of bad.py)"),
    ],
)
def test_what_is_not_there_is_one_sentence(folder: Path, tmp_path: Path, name: str, text: str, sentence: str) -> None:
    (tmp_path / "bad.py").write_text(text)
    with pytest.raises(ConfigError) as caught:
        resolve("rule", name, {"bll": int})
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


def test_a_package_that_fails_or_is_gone_is_one_sentence(folder: Path) -> None:
    install(folder, "edgebll.rules", "helpful:Nothing")
    with pytest.raises(ConfigError, match=r"the rule theirs of helpful 1\.5 cannot be imported: AttributeError"):
        resolve("rule", "theirs", {})
    (folder / "site-packages" / "helpful.py").write_text("Nothing = 1\n")
    sys.modules.pop("helpful")
    origin = resolve("rule", "theirs", {}).origin
    sys.path.remove(str(folder / "site-packages"))
    with pytest.raises(ConfigError, match=r"the rule theirs is one of helpful 1\.5, which does not offer it here; install"):
        resolve("rule", "theirs", {}, origin)


def test_code_that_is_recorded_must_be_there_and_the_same(folder: Path) -> None:
    file = folder / "mine.py"
    origin = resolve("rule", "own/mine.py:Small", {}).origin
    assert resolve("rule", "anything", {}, origin).recalled
    file.write_text(FILE + "# changed\n")
    with pytest.raises(ConfigError, match=r"the rule r needs .*own/mine\.py, which has changed since: its SHA-256 was"):
        resolve("rule", "r", {}, origin)
    file.unlink()
    with pytest.raises(ConfigError, match=r"the rule r needs .*own/mine\.py, which is missing; put that file back"):
        resolve("rule", "r", {}, origin)


def test_a_thing_of_a_file_or_a_module_is_named_by_where_it_is(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "__init__.py").write_text("")
    (tmp_path / "nets" / "small.py").write_text("class Net:\n    class Inner:\n        pass\n")
    sys.path.insert(0, str(folder))
    for name, expected in (
        ("mine:make", f"{folder}/mine.py:make"),
        ("nets.small:Net.Inner", "nets.small:Net.Inner"),
        ("own/mine.py:Small", f"{folder}/mine.py:Small"),
    ):
        thing = resolve("rule", name, {}).value
        assert name_of("rule", thing) == expected
    assert name_of("rule", "bll") == "bll"
    assert [reference_of(name) for name in ("own/mine.py:Small", "nets.small:Net", "bll")] == [
        f"{folder}/mine.py:Small",
        "nets.small:Net",
        "bll",
    ]
    for thing in (lambda: 1, 3, type("Made", (), {})):
        with pytest.raises(ConfigError, match="cannot be imported again, as what goes on with a run must"):
            name_of("rule", thing)
