"""Texts by name: those that a Debian package brings, which anybody may use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgebll.data.data_folders import data_folders
from edgebll.kernel.errors import DataError


@dataclass(frozen=True)
class Corpus:
    """A text.

    Attributes:
        name: behind `bytes:`.
        package: of Debian and Ubuntu that brings it.
        file: where that puts it.
        licence: of the text, in words.
        summary: what it is, in one line.
    """

    name: str
    package: str
    file: Path
    licence: str
    summary: str

    @property
    def how(self) -> str:
        """How to get it, as the end of a sentence."""
        return (
            f"on Debian and Ubuntu `apt install {self.package}`; elsewhere put the package's {self.file.name} into "
            f"{self.name}/ of a data folder, or give a text of your own, `bytes:PATH`"
        )


CORPORA: dict[str, Corpus] = {
    "jargon": Corpus(
        name="jargon",
        package="jargon-text",
        file=Path("/usr/share/doc/jargon-text/jargon.txt.gz"),
        licence="public domain",
        summary="The Jargon File 4.4.7, a lexicon of hackers' English: 1.7 MB.",
    )
}


def is_corpus(name: str) -> bool:
    """Whether a name is one of CORPORA."""
    return name in CORPORA


def corpus_places(name: str) -> list[Path]:
    """Where a corpus is looked for: the data folders, then where its package puts it."""
    corpus = CORPORA[name]
    return [*(place / name / corpus.file.name for place in data_folders()), corpus.file]


def find_corpus(name: str) -> Path:
    """The file of a corpus.

    Args:
        name: one of CORPORA.

    Raises:
        DataError: it is not here; says how to get it.
    """
    places = corpus_places(name)
    for place in places:
        if place.is_file():
            return place
    corpus = CORPORA[name]
    raise DataError(f"the text {name} was not found at {', '.join(map(str, places))}; {corpus.how}")
