"""Writes what docs/reference/reproduced.md has of medium scale, from tables that were run.

python -m support.medium_tables [OUT ...]      in tests/; OUT is a folder of `edgebll reproduce --scale medium --out OUT`

Tables of the folders replace those of the same name in docs/reference/reproduced-medium.json, from which the page is written;
one that nobody ran stands there as not run yet.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgebll.learning.reproduce.recipe import ACCURACY, MEDIUM
from edgebll.learning.reproduce.recipe_file import read_recipe, recipe_names
from edgebll.learning.reproduce.report import RESULTS, figures

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
PAGE, TABLES = REFERENCE / "reproduced.md", REFERENCE / "reproduced-medium.json"
START, END = "<!-- medium scale: written by python -m support.medium_tables -->", "<!-- end of medium scale -->"
#: Of a table's document, what every run was told and did: too long for the page.
_LEFT_OUT = ("cells", "parameters")
_INTRO = """## Medium scale

What `edgebll reproduce TABLE --scale medium` found: real networks at reduced width, all training images, 20 epochs, three
seeds. A difference is called higher or lower where its 95 % interval, paired by seed, leaves out zero and it is above the
spread over seeds; every other is not resolved. `A > B` is resolved, `A ~ B` is not. `python -m support.medium_tables OUT` in
tests/ writes this part from folders of results."""


def medium_part(documents: Sequence[Mapping[str, Any]]) -> str:
    """The part of the page, between its marks.

    Args:
        documents: of tables that were run.
    """
    by_table = {document["table"]: document for document in documents}
    parts = [START, _INTRO]
    for name in recipe_names():
        recipe = read_recipe(name)
        if recipe.kind != ACCURACY or recipe.medium is None:
            continue
        if name in by_table:
            parts += [re.sub(r"^(#+) ", r"#\1 ", part) for part in figures(by_table[name])]
        else:
            parts += [f"### {recipe.title}", f"Not run yet: `edgebll reproduce {name} --scale medium`."]
    return "\n\n".join([*parts, END])


def replaced(page: str, part: str) -> str:
    """The page with this part of medium scale."""
    before, rest = page.split(START)
    return before + part + rest.split(END)[1]


def main(folders: Sequence[str]) -> None:
    """Take over the tables of the folders, and write the page."""
    found = {document["table"]: document for document in json.loads(TABLES.read_text("utf-8"))}
    for folder in folders:
        for path in sorted(Path(folder).glob(f"*/{MEDIUM}/{RESULTS}")):
            document = json.loads(path.read_text("utf-8"))
            found[document["table"]] = {name: value for name, value in document.items() if name not in _LEFT_OUT}
    documents = [found[name] for name in sorted(found)]
    TABLES.write_text(json.dumps(documents, indent=1) + "\n", "utf-8")
    PAGE.write_text(replaced(PAGE.read_text("utf-8"), medium_part(documents)), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
