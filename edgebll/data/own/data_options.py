"""Options of own data: what was typed, or read from a run, as the fields of a kind's dataclass.

A run writes all of them down, those too that were found out from the data. So they are the recipe by which samples are
prepared: a resumed run, an exported bundle and an evaluation on other data prepare theirs in the same way.
"""

from __future__ import annotations

import contextlib
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar, cast

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.option_values import TRUTH_WORDS
from edgebll.kernel.support.plain_dataclasses import PlainError, from_plain, to_plain
from edgebll.kernel.support.whole_numbers import whole_number

T = TypeVar("T")
_MOST_PIXELS = 4096
#: Options that say what the data were, not how they are prepared; other data have others.
FOUND_OUT = ("kind", "digest", "decoded", "code", "arguments", "count")
YES, NO = "yes", "no"
CLASSES, NUMBERS, NONE = "classes", "numbers", "none"


@dataclass(frozen=True)
class OwnDataOptions:
    """Options of every kind of own data.

    Attributes:
        kind: of the data, e.g. "images".
        test: part of the samples that is held out for evaluation, 0 to 1, where the data do not say which those are.
        split_seed: decides which.
        classes: their names, in the order of their labels; empty for those the data have, sorted.
        ignore_index: the label that stands for none and is no class, such as 255 in masks or -1; a run takes its task's.
        labels: what they are: "classes", "numbers", or "none", with which samples are without; empty for what they look like.
        normalize: "yes": by mean and deviation of each channel of the training samples; "no"; empty for the kind's own default.
        mean: what each channel has on average, and is lowered by; empty until it is found out.
        std: standard deviation of each channel, by which it is divided; empty until it is found out.
        digest: SHA-256 of what is in the files; empty until it is found out.

    Raises:
        ConfigError: one is out of range.
    """

    kind: str = ""
    test: float = 0.2
    split_seed: int = 0
    classes: tuple[str, ...] = ()
    ignore_index: int | None = None
    labels: str = ""
    normalize: str = ""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    digest: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.test <= 1:
            raise ConfigError(f"the data option test is a part of the samples, 0 to 1, not {self.test:g}")
        if not 0 <= self.split_seed < 2**32:
            raise ConfigError(f"the data option split_seed must lie in 0..{2**32 - 1}, not {self.split_seed}")
        check_word("normalize", self.normalize, ("", YES, NO))
        check_word("labels", self.labels, ("", CLASSES, NUMBERS, NONE))
        if len(self.mean) != len(self.std) or any(not value > 0 for value in self.std):
            raise ConfigError("the data options mean and std need a number for each channel, and std must be above 0")
        if len(set(self.classes)) < len(self.classes):
            raise ConfigError(f"the data option classes names one twice: {', '.join(self.classes)}")


def check_word(name: str, value: str, known: tuple[str, ...]) -> None:
    """Raise ConfigError unless the data option `name` is one of the known words."""
    if value not in known:
        raise ConfigError(f"the data option {name} must be {' or '.join(word for word in known if word)}, not {value!r}")


def pixel_sides(name: str, size: str) -> tuple[int, int]:
    """Height and width of a size in pixels, "HEIGHTxWIDTH" or the one number of a square.

    Args:
        name: of the data option.
        size: its value.

    Raises:
        ConfigError: it is none.
    """
    parts = size.lower().split("x")
    if len(parts) > 2 or not all(1 <= (whole_number(part) or 0) <= _MOST_PIXELS for part in parts):
        raise ConfigError(f"the data option {name} must be like 64 or 48x64, 1 to {_MOST_PIXELS} pixels a side, not {size!r}")
    return int(parts[0]), int(parts[-1])


def read_options(cls: type[T], what: str, given: Mapping[str, Any]) -> T:
    """Options of a kind of data.

    Args:
        cls: its dataclass.
        what: the data, for messages.
        given: by name; a text stands for a number, and for several values with commas between.

    Raises:
        ConfigError: there is no such option, or its value is none.
    """
    hints = typing.get_type_hints(cls)
    for name in given:
        if name not in hints:
            known = ", ".join(field.name for field in fields(cast(Any, cls)) if field.name not in FOUND_OUT)
            raise ConfigError(f"{what} has no data option {name!r}; it has {known}")
    try:
        return from_plain(
            cls, {name: _as_hinted(value, hints[name]) for name, value in given.items()}, f"data options of {what}"
        )
    except PlainError as error:
        raise ConfigError(str(error)) from error


def written(options: Any) -> dict[str, Any]:
    """Options as a run writes them down; those that say nothing are left out."""
    plain: dict[str, Any] = to_plain(options)
    return {name: value for name, value in plain.items() if value not in ("", [], {}, None)}


def preparation(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """What is recorded of a run's data without what says which data those were."""
    return {name: value for name, value in recorded.items() if name not in FOUND_OUT}


def _as_hinted(value: Any, hint: Any) -> Any:
    """A value as one of a type, where it is one: a text for a number, a number for a text."""
    if hint is str and isinstance(value, int):
        return str(value)
    return _from_text(value, hint) if isinstance(value, str) else value


def _from_text(text: str, hint: Any) -> Any:
    """A text as a value of a type, where it is one; else itself."""
    if typing.get_origin(hint) is tuple:
        (item, _) = typing.get_args(hint)
        return [_from_text(part.strip(), item) for part in text.split(",") if part.strip()]
    if hint is bool:
        return TRUTH_WORDS.get(text.lower(), text)
    if hint in (int, float, int | None):
        with contextlib.suppress(ValueError):
            return float(text) if hint is float else int(text)
    return text
