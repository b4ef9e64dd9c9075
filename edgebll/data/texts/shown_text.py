"""Bytes as a text that any terminal may be shown: what is no UTF-8, and what a terminal would act on, is written out."""

from __future__ import annotations

import codecs

#: Characters that only move on.
_PLAIN = "\n\t"


class ShownText:
    """Makes a text of bytes that come one by one."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def add(self, data: bytes, *, final: bool = False) -> str:
        r"""The characters that are whole by now.

        Args:
            data: the next bytes.
            final: whether no others follow.

        Returns:
            Printable characters, new lines and tabs; of others `\x..` of their bytes or `\u....` of their number.
        """
        return "".join(map(_shown, self._decoder.decode(data, final)))


def shown(data: bytes) -> str:
    """Bytes as a text that any terminal may be shown, see `ShownText`."""
    return ShownText().add(data, final=True)


def _shown(character: str) -> str:
    if character.isprintable() or character in _PLAIN:
        return character
    return character.encode("unicode_escape").decode("ascii")
