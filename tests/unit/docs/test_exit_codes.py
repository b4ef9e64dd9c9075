"""docs/reference/exit-codes.md has every exit code, in the program's own words, and each has a cause and a cure."""

from __future__ import annotations

import re

from support.documents import Document

from edgebll.kernel import errors

PAGE = Document("docs/reference/exit-codes.md").text


def test_the_table_is_that_of_the_program() -> None:
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \| ([^|]*)\|$", PAGE, re.MULTILINE)
    assert {int(code): meaning.strip() for code, meaning, _ in rows} == errors.EXIT_CODES
    classes: dict[int, set[str]] = {code: set() for code in errors.EXIT_CODES}
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, errors.EdgebllError):
            classes[value.exit_code].add(name)
    assert {int(code): set(re.findall(r"`(\w+)`", named)) for code, _, named in rows} == classes


def test_each_has_a_section_with_its_cause_and_cure() -> None:
    sections = dict(re.findall(r"^## (\d+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
    assert [int(code) for code in sections] == list(errors.EXIT_CODES)
    lacking = [code for code, text in sections.items() if not ("**Cause.** " in text and "**Cure.** " in text)]
    assert lacking == ["0"]
