"""Rules, optimisers and other things by name: those of edgebll by a table, those of users by where their code is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Generic, Protocol, TypeVar

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.own_code import CodeOrigin, Resolved, full_options, known_names, make, origin_of_class, resolve
from edgebll.kernel.support.plain_dataclasses import from_plain, to_plain


class HasOptions(Protocol):
    """A dataclass whose fields are its options."""

    def options(self) -> dict[str, Any]:
        """All options by name."""


T = TypeVar("T", bound=HasOptions)


@dataclass(frozen=True)
class Registry(Generic[T]):
    """All things of a kind.

    Attributes:
        kind: one of `edgebll.kernel.own_code.GROUPS`.
        built_in: name -> class of those that edgebll brings.
        base: the class they all have.
        reserved: names that no option may have, because records have other things under them, beside the options.
    """

    kind: str
    built_in: Mapping[str, type[T]]
    base: type[T]
    reserved: frozenset[str] = frozenset()

    def names(self) -> list[str]:
        """Names that stand alone: those built in and those that installed packages offer."""
        return known_names(self.kind, self.built_in)

    def find(self, name: str, recorded: CodeOrigin | None = None) -> Resolved:
        """What a name stands for; see `edgebll.kernel.own_code.resolve`."""
        return resolve(self.kind, name, self.built_in, recorded)

    def make(self, name: str, options: Mapping[str, Any], recorded: CodeOrigin | None = None) -> T:
        """Make the thing of this name.

        Args:
            name: built in, "FILE.py:NAME", "MODULE:NAME" or of an entry point.
            options: by name; a text is converted to its option's type.
            recorded: where a run or a bundle says that it found the thing.

        Raises:
            ConfigError: unknown name or option, a value that it refuses, or code that cannot be imported or has changed.
        """
        return make(self.find(name, recorded), self.kind, options, self.base)

    def all_options(self, name: str, options: Mapping[str, Any], recorded: CodeOrigin | None = None) -> dict[str, Any]:
        """The options with which `make` makes the same again, those left out too; arguments and errors are those of `make`."""
        found = self.find(name, recorded)
        if isinstance(found.value, type | self.base):
            made = make(found, self.kind, options, self.base)
            self._check_names(made)
            return made.options()
        return full_options(found, self.kind, options)

    def record(self, thing: T, name: str) -> dict[str, Any]:
        """What a bundle remembers of a thing, however it was made, beside its options: its name, and where its code is.

        Args:
            thing: it.
            name: its own name.

        Raises:
            ConfigError: an option has a reserved name.
        """
        self._check_names(thing)
        origin = None if self.built_in.get(name) is type(thing) else origin_of_class(type(thing))
        return {"name": name} if origin is None else {"name": origin.short, "code": to_plain(origin)}

    def recall(self, name: str, options: Mapping[str, Any], code: Any, where: str) -> T:
        """Make the thing that a bundle remembers.

        Args:
            name: that its record says.
            options: that its record says, by name.
            code: what its record says of its code; None where it has none.
            where: the bundle, for messages.

        Raises:
            PlainError: the record is malformed. ConfigError: see `make`.
        """
        recorded = None if code is None else from_plain(CodeOrigin, code, f"{where}: code of the {self.kind}")
        return self.make(name, options, recorded)

    def _check_names(self, thing: T) -> None:
        names: list[str] = [field.name for field in fields(thing)] if is_dataclass(thing) else []
        for name in self.reserved.intersection(names):
            raise ConfigError(
                f"the {self.kind} {type(thing).__name__} has an option called {name!r}, which a bundle has for something "
                "else; call it otherwise"
            )
