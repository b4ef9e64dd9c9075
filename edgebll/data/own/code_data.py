"""Data that a user's own code makes: "FILE.py:NAME", "MODULE:NAME", or what an installed package offers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from edgebll.data.own.array_files import ArrayOptions, pool_of
from edgebll.data.own.byte_text import is_bytes
from edgebll.data.own.live_reading import samples_of
from edgebll.data.own.live_source import LiveSource
from edgebll.data.own.python_samples import WORDS, digest_arrays, gathered
from edgebll.data.own.record_data import RecordSplits, splits_of
from edgebll.data.own.sample_inputs import check_inputs
from edgebll.data.own.sample_pool import SamplePool
from edgebll.data.own.tonic_data import is_tonic
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.own_code import CodeOrigin, check_defined, known_names, make, resolve
from edgebll.kernel.support.plain_dataclasses import PlainError, from_plain, to_plain

CODE = "code"
_KIND = "data set"


@dataclass(frozen=True)
class CodeOptions(ArrayOptions):
    """Options of data from code: those of arrays, and all others are arguments of the function or class.

    Attributes:
        arguments: of the function or class that makes the data.
        code: where it was found, see `edgebll.kernel.own_code.CodeOrigin`; empty until it is.
    """

    arguments: dict[str, Any] = field(default_factory=dict)
    code: dict[str, Any] = field(default_factory=dict)


def is_code(name: str) -> bool:
    """Whether a name is that of code, or one that an installed package offers."""
    return (":" in name and not is_bytes(name) and not is_tonic(name) and not Path(name).exists()) or (
        name.isidentifier() and name in known_names(_KIND, {})
    )


def with_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Options in which those that the kind does not have are arguments of the code."""
    own = {one.name for one in fields(CodeOptions)}
    others = {name: value for name, value in given.items() if name not in own}
    return {
        **{name: value for name, value in given.items() if name in own},
        "arguments": {**given.get("arguments", {}), **others},
    }


def named_code(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Options of code that the user names now; what a run or a bundle names must have been named by a user before.

    Args:
        name: of the code.
        given: its options.

    Raises:
        ConfigError: there is no such code.
    """
    origin = resolve(_KIND, name, {}).origin
    return {**given, "code": to_plain(origin)}


def read_code(path: Path, options: CodeOptions, tell: Callable[[str], None]) -> SamplePool | RecordSplits:
    """The samples that code makes, all of them in memory; or of a live source, see `edgebll.data.own.live_reading`.

    Args:
        path: the name of the code.
        options: of the data; the code must still be what `code` says, see `named_code`.
        tell: not told anything; here for other kinds.

    Raises:
        ConfigError: there is no such code, it fails, or has changed. DataError: what it makes are no samples.
    """
    name = str(path)
    try:
        recorded = from_plain(CodeOrigin, options.code, f"code of the data set {name}")
    except PlainError as error:
        raise ConfigError(f"{error}; name the data anew with --data") from error
    found = resolve(_KIND, name, {}, recorded)
    if found.origin is not None:
        check_defined(f"the data set {name}", found.value, found.origin)
    made = make(found, _KIND, options.arguments, (Iterable, Sized), words=WORDS)
    origin = to_plain(found.origin) if found.origin is not None else {}
    if isinstance(made, LiveSource):
        arriving = samples_of(made, name)
        return splits_of(arriving, replace(options, code=origin), arriving.expected)
    if not options.digest:
        check_inputs(name, options.inputs)
    arrays = gathered(made, name)
    return pool_of(name, arrays, replace(options, digest=digest_arrays(arrays), code=origin))
