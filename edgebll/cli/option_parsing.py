"""Options on the command line: those of networks, rules and optimisers, and names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgebll.kernel.errors import ConfigError

_EXAMPLES = {"network": "width=32", "rule": "match=2", "optimizer": "clip_norm=1"}
#: Options of the command that are options of the optimiser.
OPTIMIZER_SHORTHANDS = ("optimizer_option", "momentum", "nesterov", "weight_decay")


def as_text(typed: str) -> str:
    """A name as it was typed, also where the locale knows ASCII alone and other letters come as escaped bytes."""
    return typed.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def parse_options(owner: str, texts: Sequence[str]) -> dict[str, str]:
    """KEY=VALUE texts as a dict.

    Args:
        owner: "network", "rule" or "optimizer", for messages.
        texts: each KEY=VALUE.

    Raises:
        ConfigError: a text has no "=" or no key, or a key comes twice.
    """
    result: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key:
            raise ConfigError(f"an option of the {owner} must be KEY=VALUE, e.g. {_EXAMPLES[owner]}, not {text!r}")
        if key in result:
            raise ConfigError(f"the {owner} option {key} is given twice")
        result[key] = value.strip()
    return result


def optimizer_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The optimiser's options from the values of OPTIMIZER_SHORTHANDS; None is not given.

    A momentum of 0 turns Nesterov's variant off unless that is given too.

    Raises:
        ConfigError: a text is not KEY=VALUE, or an option is given twice.
    """
    options: dict[str, Any] = dict(parse_options("optimizer", given.get("optimizer_option") or ()))
    for name in OPTIMIZER_SHORTHANDS[1:]:
        if given.get(name) is None:
            continue
        if name in options:
            raise ConfigError(f"the optimizer option {name} is given twice, by --{name.replace('_', '-')} too; leave one out")
        options[name] = given[name]
    if str(options.get("momentum")) in ("0", "0.0"):
        options.setdefault("nesterov", False)
    return options
