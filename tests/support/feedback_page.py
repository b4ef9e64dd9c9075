"""Writes the tables of docs/explanation/does-feedback-help.md, from runs of `edgebll reproduce bll-feedback`.

python -m support.feedback_page [OUT]      in tests/; OUT is the folder that was given to `edgebll reproduce --out`

The table of OUT and what `edgebll probe` measures of its runs of seed 0 replace docs/reference/bll-feedback.json, from which
the page is written.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgebll.kernel.comparison.paired_difference import paired_difference
from edgebll.kernel.runs.run_lock import SUMMARY
from edgebll.learning.probing.probe import probe
from edgebll.learning.reproduce.cells import cells_of
from edgebll.learning.reproduce.markdown_tables import difference, table
from edgebll.learning.reproduce.recipe import SMALL
from edgebll.learning.reproduce.recipe_file import read_recipe
from edgebll.learning.reproduce.report import RESULTS, figures

DOCS = Path(__file__).parents[2] / "docs"
PAGE, STORED = DOCS / "explanation" / "does-feedback-help.md", DOCS / "reference" / "bll-feedback.json"
START, END = "<!-- tables: written by python -m support.feedback_page -->", "<!-- end of tables -->"
TABLE = "bll-feedback"
#: What is asked of two rules -> the one and the other.
QUESTIONS = {
    "match and label": ("BLL", "GLL"),
    "the label alone": ("BLL", "BLL, target global mean"),
    "a match without a label": ("BLL, target global mean", "GLL"),
    "match and label, standardised, behind a convolution": ("BLL, conv, standardised match", "BLL, conv, no match"),
    "the convolution alone": ("BLL, conv, no match", "GLL"),
}
#: Of a table's document, what every run was told and did: too long for the page.
_LEFT_OUT = ("cells", "parameters")


def tables(stored: Mapping[str, Any]) -> str:
    """The part of the page between its marks.

    Args:
        stored: "results", the table's document, and "probes", rule -> rows of `edgebll probe`.
    """
    shown = [re.sub(r"^(#+) ", r"#\1 ", part) for part in figures(stored["results"])[2:]]
    found = differences(stored["results"]["lines"])
    return "\n\n".join([START, *shown, "### Differences, seed by seed", found, *_probes(stored), END])


def differences(lines: Sequence[Mapping[str, Any]]) -> str:
    """What each question's rule has more than the other, in points, over the seeds that both have."""
    known = {line["rule"]: {int(seed): value for seed, value in line["accuracies"].items()} for line in lines}
    rows = []
    for words, (one, other) in QUESTIONS.items():
        found = paired_difference(known[one], known[other])
        each = ", ".join(f"{known[one][seed] - known[other][seed]:+.2f}" for seed in found.seeds) if found else ""
        rows.append([words, f"{one} less {other}", difference(None if found is None else asdict(found)), each])
    return table(["what it does", "difference", "points", "seed by seed"], rows, right=[])


def _probes(stored: Mapping[str, Any]) -> list[str]:
    rows = [
        [rule, measure, *(f"{row[name] * scale:.{digits}f}" for row in blocks)]
        for measure, name, scale, digits in (
            ("linear probe %", "probe_accuracy", 100.0, 1),
            ("information, bits", "information", 1.0, 2),
            ("effective rank", "effective_rank", 1.0, 1),
            ("Fisher ratio", "fisher_ratio", 1.0, 2),
        )
        for rule, blocks in stored["probes"].items()
    ]
    if not rows:
        return []
    blocks = max(len(row) for row in rows) - 2
    return ["### What each block tells of the label", table(["rule", "measure", *(f"{k}" for k in range(1, blocks + 1))], rows)]


def replaced(page: str, part: str) -> str:
    """The page with these tables."""
    before, rest = page.split(START)
    return before + part + rest.split(END)[1]


def main(folders: Sequence[str]) -> None:
    """Take over the table of a folder, if one is given, and write the page."""
    for folder in folders:
        scale = Path(folder) / TABLE / SMALL
        document = json.loads((scale / RESULTS).read_text("utf-8"))
        runs = {
            cell.row.name: scale / "runs" / cell.folder for cell in cells_of(read_recipe(TABLE), SMALL, 1) if cell.blocks > 1
        }
        probes = {rule: probe(run).to_plain()["blocks"] for rule, run in runs.items() if (run / SUMMARY).exists()}
        kept = {name: value for name, value in document.items() if name not in _LEFT_OUT}
        STORED.write_text(json.dumps({"results": kept, "probes": probes}, indent=1) + "\n", "utf-8")
    PAGE.write_text(replaced(PAGE.read_text("utf-8"), tables(json.loads(STORED.read_text("utf-8")))), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
