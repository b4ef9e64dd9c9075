"""docs/reference/bll-forms.md tells of every option of BLL, and of every word that one takes."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest
from support.documents import Document

from edgebll.learning import BLL
from edgebll.learning.rules.bll.options_check import WORDS

TEXT = Document("docs/reference/bll-forms.md").text


def test_every_option_is_on_the_page() -> None:
    names = [field.name for field in fields(BLL) if field.name != "label_smoothing"]
    assert [name for name in names if not re.search(rf"\b{name}\b", TEXT)] == []


@pytest.mark.parametrize("option", WORDS)
def test_every_word_is_in_a_table(option: str) -> None:
    """Words of a table's first or second column, but for two options that are told of in passing."""
    places = [TEXT.find(f"| `{word}`") for word in WORDS[option]]
    if option == "pool":
        places = [TEXT.find("`avg`, `max`, `std`"), TEXT.find("| `none` | every channel")]
    if option in ("decorrelate_pairs", "feedback_activation"):
        places = [TEXT.find(option)]
    assert -1 not in places
