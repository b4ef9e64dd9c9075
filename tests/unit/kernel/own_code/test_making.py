"""A class or factory is called with options as they were typed, an instance is taken; what files name is not called blindly."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.own_code import CodeOrigin, Resolved, full_options, make
from edgebll.kernel.own_code.code_copies import copy_code
from edgebll.kernel.own_code.code_origin import origin_in
from edgebll.kernel.own_code.importing import import_file


@dataclass(frozen=True)
class Thing:
    """What is to be made."""

    width: int = 8
    rate: float = 0.5


def plain(width: int, deep: bool = False, rate=0.5, word="a", *, size=None) -> Thing:  # type: ignore[no-untyped-def]
    """A factory whose parameters say their types in every way."""
    assert (type(deep), type(word)) == (bool, str)
    return Thing(width if size is None else size, rate)


def made(
    value: Any, options: dict[str, Any], context: dict[str, Any] | None = None, recalled: CodeOrigin | None = None
) -> Thing:
    found = Resolved("mine.py:it", value, recalled, recalled=recalled is not None)
    return make(found, "rule", options, Thing, context)


@pytest.mark.parametrize(
    ("value", "options", "expected"),
    [
        (Thing, {"width": "3"}, Thing(3)),
        (Thing(rate=2.0), {}, Thing(8, 2.0)),
        (Thing(rate=2.0), {"width": "3"}, Thing(3, 2.0)),
        (plain, {"width": "3", "deep": "yes", "rate": "1"}, Thing(3, 1.0)),
        (plain, {"width": "3", "size": "7", "word": "5"}, Thing(7, 0.5)),
        (partial(plain, 4), {"rate": 0.25}, Thing(4, 0.25)),
        (lambda **others: Thing(**others), {"width": "5"}, Thing(5)),
    ],
)
def test_classes_factories_and_instances(value: Any, options: dict[str, Any], expected: Thing) -> None:
    assert made(value, options) == expected


def test_a_factory_is_given_what_it_asks_for_by_name() -> None:
    assert made(lambda num_classes: Thing(num_classes), {}, {"num_classes": 10, "input_shape": (1,)}) == Thing(10)
    assert made(lambda num_classes: Thing(num_classes), {"num_classes": "4"}, {"num_classes": 10}) == Thing(4)


def test_options_are_written_out_with_the_defaults_of_the_others() -> None:
    found = Resolved("it", plain)
    assert full_options(found, "rule", {"width": "3"}) == {"width": 3, "deep": False, "rate": 0.5, "word": "a"}
    assert full_options(found, "rule", {"width": "3"}, ("width", "word")) == {"deep": False, "rate": 0.5}


def _fails() -> Thing:
    raise KeyError("x")


@pytest.mark.parametrize(
    ("value", "options", "sentence"),
    [
        (plain, {"widht": "3"}, "the rule mine.py:it has no option 'widht'; it has width, deep, rate, word, size"),
        (plain, {"width": "wide"}, "the rule mine.py:it: width must be an int, not 'wide'"),
        (plain, {}, "the rule mine.py:it needs width; give it as an option"),
        (lambda a, b=1, *, c: a, {}, "the rule mine.py:it needs a and c; give them as an option"),
        (Thing, {"width": "wide"}, "the rule mine.py:it: width must be an int, not 'wide'"),
        (_fails, {}, "the rule mine.py:it cannot be made: KeyError: 'x' (line"),
        (lambda: 3, {}, "the rule mine.py:it must be a Thing or make one, not a int"),
        (7, {}, "the rule mine.py:it must be a Thing or make one, not a int"),
        (dict, {}, "the rule mine.py:it must be a Thing or make one, not a dict"),
    ],
)
def test_what_does_not_fit_is_one_sentence(value: Any, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        made(value, options)
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


def test_an_instance_that_is_no_dataclass_takes_no_options() -> None:
    with pytest.raises(ConfigError, match="the rule it is made already and takes no options, but got width; name its class"):
        make(Resolved("it", 7), "rule", {"width": 1}, int)


def annotated() -> Thing:
    """A function of another file that says what it makes."""
    return Thing()


def _silent():  # type: ignore[no-untyped-def]
    return Thing()


def test_on_the_word_of_a_file_only_what_is_meant_is_called() -> None:
    """A bundle from elsewhere that names subprocess.call, or what a user's file happens to import, starts nothing."""
    here, installed = CodeOrigin(f"{__file__}:it", {__file__: "0" * 64}), CodeOrigin("some.module:it")
    assert made(Thing, {}, recalled=installed) == made(annotated, {}, recalled=installed) == Thing()
    assert made(partial(plain, 4), {}, recalled=here) == made(plain, {"width": 4}, recalled=here) == Thing(4)
    for value, origin in [(subprocess.call, installed), (subprocess.call, here), (_silent, installed), (Path.touch, here)]:
        with pytest.raises(ConfigError, match="is not called on the word of a file; wrap it in a function of your own"):
            made(value, {}, recalled=origin)
    assert made(plain, {"width": 4}, recalled=CodeOrigin("theirs", package="helpful 1.5")) == Thing(4)


def test_copies_are_named_where_the_file_has_changed(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(f"name = {folder!r}\n")
    origins = [origin_in(import_file(tmp_path / folder / "mine.py"), "it") for folder in ("a", "b")]
    copy_code(origins, tmp_path / "run")
    (tmp_path / "b" / "mine.py").write_text("name = 'c'\n")
    origins[0].check("it", tmp_path / "run" / "code")
    with pytest.raises(ConfigError) as caught:
        origins[1].check("it", tmp_path / "run" / "code")
    copy = str(caught.value).rpartition("(")[2].removesuffix(" is a copy)")
    assert Path(copy).read_text() == "name = 'b'\n"
