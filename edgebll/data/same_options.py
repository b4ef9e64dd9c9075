"""Whether options of own data are those that a run was begun with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgebll.data.events.spike_options import ENCODE, split_options
from edgebll.data.own.data_kinds import check_no_options, options_of
from edgebll.data.own.data_options import written
from edgebll.data.registry import is_own


def same_options(name: str, recorded: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Whether options that are given for data say what a run has recorded of them; those that are not given do not count.

    Args:
        name: of the data.
        recorded: all options, as the run has them.
        given: some, as they were typed.

    Raises:
        ConfigError: there is no such option, or its value is none. DataError: there is no such data.
    """
    return _settled(name, {**recorded, **given}) == _settled(name, recorded)


def same_told(name: str, recorded: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Whether a run that was told `given` would have recorded the same: what is not given is at its default, or found out.

    Args:
        name: of the data.
        recorded: all options, as the run has them.
        given: all that are told now.

    Raises:
        ConfigError: there is no such option, or its value is none. DataError: there is no such data.
    """
    was, told = _settled(name, recorded), _settled(name, given)
    # A default of 0 is a number that is found out, such as that of channels.
    if told.get(ENCODE) != was.get(ENCODE):  # an encoder is never found out
        return False
    return same_options(name, recorded, given) and all(value in (0, was.get(key)) for key, value in told.items())


def _settled(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    own, spikes = split_options(name, options)
    encoding = {} if spikes is None else written(spikes)
    if not is_own(name):
        check_no_options(name, own)
        return encoding
    return {**written(options_of(Path(name), own)), **encoding}
