"""results.json of all tables, and RESULTS.md written from them. No torch.

OUT/TABLE/SCALE/results.json    one table at one scale, as `results.results` returns it
OUT/results.json, RESULTS.md    all of them together
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgebll.kernel.errors import BundleError
from edgebll.kernel.support.atomic_files import write_atomic, write_json
from edgebll.learning.reproduce.differences import ranked
from edgebll.learning.reproduce.markdown_tables import NONE, difference, figure, percent, signed, table
from edgebll.learning.reproduce.recipe import ACCURACY, COST, FULL, OURS, SCALES

RESULTS, REPORT = "results.json", "RESULTS.md"
#: Runtimes of a table of costs, with what they are called.
RUNTIMES = {"torch": "PyTorch", "onnxruntime": "ONNX Runtime", "cuda": "PyTorch on the GPU"}
_MIB = 1 << 20
_REPRODUCED = (
    "# Tables of the papers, reproduced\n\n"
    "Written by `edgebll reproduce`; docs/how-to/reproduce-papers.md says how to read it. Accuracies are in percent of "
    "the test samples, after the last epoch; gaps are differences in points to the baseline under the same recipe, "
    "ours to ours and published to published. A difference counts as higher or lower where its 95 % interval, paired by seed, "
    "leaves out zero and it is above the spread over seeds; every other is not resolved."
)
_SWEPT = (
    "# Results of recipes of one's own\n\n"
    "Written from recipes that edgebll does not bring along; docs/how-to/compare-rules.md says how to read it. Accuracies are "
    "in percent of the test samples, after the last epoch, with their standard deviation over seeds; gaps are differences in "
    "points to the baseline over the seeds both have. A difference counts as higher or lower where its 95 % interval, paired "
    "by seed, leaves out zero and it is above the spread over seeds. `edgebll compare` says the same of any runs, with one "
    "risk shared by all."
)
Document = Mapping[str, Any]


def write_results(out: Path, document: Document) -> None:
    """Write a table's results into the folder `out`, and RESULTS.md anew from all that is there.

    Raises:
        StorageError: the disk refuses. BundleError: another table's results are damaged.
    """
    write_json(out / document["table"] / document["scale"] / RESULTS, document)
    documents = read_results(out)
    write_json(out / RESULTS, documents)
    write_atomic(out / REPORT, report(documents).encode())


def read_results(out: Path) -> list[dict[str, Any]]:
    """All tables in the folder `out`, those of the largest scale first: small ones never stand between others.

    Raises:
        BundleError: one is damaged.
    """
    documents = []
    for path in sorted(out.glob(f"*/*/{RESULTS}")):
        try:
            documents.append(json.loads(path.read_bytes()))
        except (OSError, ValueError) as error:
            raise BundleError(f"{path} cannot be read ({error}); remove it and run that table again") from error
    return sorted(documents, key=lambda document: SCALES.index(document["scale"]))


def report(documents: Sequence[Document]) -> str:
    """The whole RESULTS.md."""
    head = _REPRODUCED if any(document.get("reproduction", True) for document in documents) else _SWEPT
    return "\n\n".join([head, *map(section, documents)]) + "\n"


def section(document: Document) -> str:
    """One table at one scale, with its hyper-parameters."""
    own = _parameters if document.get("reproduction", True) else _own_parameters
    return "\n\n".join([*figures(document), own(document)])


def figures(document: Document) -> list[str]:
    """One table at one scale: its paragraphs, the heading first."""
    scale = document["scale"]
    words = f" ({scale} scale)" if document.get("has_scales", True) else ""
    parts = [f"## {document['title']}{words}", *filter(None, [document["text"]]), _conditions(document)]
    if document["words"]:
        parts.append(f"Scale: {document['words']}")
    if _metric(document) != ACCURACY:
        better = "less" if document["lower"] else "more"
        parts.append(f"Figures and gaps are {_metric(document).replace('_', ' ')} of the test samples; {better} is better.")
    lines = _cost_lines if document["kind"] == COST else _accuracy_lines
    for setting in dict.fromkeys(line["setting"] for line in document["lines"]):
        own = [line for line in document["lines"] if line["setting"] == setting]
        parts += [f"### {setting}", lines(own, document)]
    sources = dict.fromkeys(p["source"] for line in document["lines"] for p in line["published"])
    if sources:
        parts.append("Published: " + "; ".join(sources) + ".")
    return parts + [f"- {note}" for note in document["notes"]]


def _conditions(document: Document) -> str:
    kind = "measured" if document["kind"] == COST else "trained"
    done = f"{document['done']} of {document['runs']} runs are {kind}"
    seconds = f", {document['seconds'] / 60:.0f} minutes of training in all" if document["seconds"] else ""
    machines = f" Machine: {'; '.join(document['machines'])}." if document["machines"] else ""
    data = f" Data: {', '.join(document['data'])}." if document["data"] else ""
    ways = f" Trained {'; '.join(document['ways'])}." if document.get("ways") else ""
    return f"{done}{seconds}.{data}{ways}{machines} edgebll {document['edgebll']}."


def _accuracy_lines(lines: Sequence[Document], document: Document) -> str:
    """A reproduction has all columns and the rules' order; a recipe of one's own no order, which chance may have made."""
    told, reproduction = [_accuracy_line(line, document) for line in lines], document.get("reproduction", True)
    empty = [] if reproduction else [name for name in ("gap", "published", "published gap") if _is_empty(name, told)]
    header = [name for name in told[0] if name not in empty]
    shown = table(header, [[line[name] for name in header] for line in told])
    orders = _orders(lines, lower=document.get("lower", False)) if reproduction else []
    return "\n\n".join([shown, *orders, *_heads(lines, document)])


def _is_empty(name: str, lines: Sequence[Mapping[str, str]]) -> bool:
    return all(line[name] == NONE for line in lines)


def _metric(document: Document) -> str:
    """What figures are; those of earlier releases are accuracies."""
    return str(document.get("metric", ACCURACY))


def _orders(lines: Sequence[Document], *, lower: bool) -> list[str]:
    """For each number of blocks the rules from best to worst, ours and published, with those of one block among them.

    "A ~ B" where ours of the two are not resolved.
    """
    found = []
    for blocks in dict.fromkeys(line["blocks"] for line in lines):
        own = [line for line in lines if line["blocks"] in (1, blocks)]
        ours = [line for line in own if line["mean"] is not None]
        published = {line["rule"]: line["published"][0]["value"] for line in own if line["published"]}
        if len(ours) > 1 and (blocks > 1 or len({line["blocks"] for line in lines}) == 1):
            told = " > ".join(sorted(published, key=published.__getitem__, reverse=not lower)) or "no figures"
            found.append(f"- In {blocks} blocks: ours {ranked(ours, lower=lower)}; published {told}.")
    return ["\n".join(found)] if found else []


def _heads(lines: Sequence[Document], document: Document) -> list[str]:
    """What the auxiliary networks reach, block by block, then the network; and the last block that is resolved to add to it."""
    rows, metric = [], _metric(document)
    digits = 1 if metric == ACCURACY else 3
    for line in lines:
        if line.get("heads") and line["mean"] is not None:
            known = " ".join(f"{own:.{digits}f}" for own in [*line["heads"], line["mean"]])
            depth = line.get("depth")
            rows.append([line["rule"], str(line["blocks"]), known, "not resolved" if depth is None else f"block {depth}"])
    words = f"{metric.replace('_', ' ')} after each block{' %' if metric == ACCURACY else ''}"
    return [table(["rule", "blocks", words, "depth used to"], rows)] if rows else []


def _accuracy_line(line: Document, document: Document) -> dict[str, str]:
    """Column -> text; in documents of earlier releases there are no paired differences."""
    published, against = line["published"], line.get("against", {})
    digits = 2 if _metric(document) == ACCURACY else 4
    ours = figure(line["mean"], line["spread"], digits)
    references = [name for name in (document["baseline"], document.get("greedy")) if name and "against" in line]
    return {
        "rule": line["rule"],
        "blocks": str(line["blocks"]),
        "ours": f"{ours} ({line['reason']})" if line["reason"] else ours,
        "gap": signed(line["gap"], digits),
        **{f"against {name}": difference(against.get(name), digits) for name in references},
        "published": "; ".join(figure(p["value"], p["spread"], digits) for p in published) or NONE,
        "published gap": "; ".join(signed(p["gap"], digits) for p in published) or NONE,
        "seeds": str(len(line["accuracies"])),
        "minutes a run": NONE if line["seconds"] is None else f"{line['seconds'] / 60:.1f}",
    }


def _cost_lines(lines: Sequence[Document], _document: Document) -> str:
    """Memory of the largest block, and time a step: of the slowest block (all blocks at once) and of all one after another."""
    tables = []
    for runtime, words in RUNTIMES.items():
        own = [line for line in lines if runtime in line["costs"] or (runtime == "torch" and line["reason"])]
        if any(runtime in line["costs"] for line in own):
            header = [
                "rule",
                "blocks",
                "largest block MiB",
                "saved",
                "published saving",
                "slowest block s",
                "saved",
                "all blocks s",
            ]
            tables += [f"{words}:", table(header, [_cost_line(line, runtime) for line in own])]
    words = (
        "Times are those of the steps alone, one block at a time: what links carry, and what a block waits for another, is not "
        "in them."
    )
    return "\n\n".join([*tables, words]) if tables else "Not measured yet."


def _cost_line(line: Document, runtime: str) -> list[str]:
    head = [line["rule"], str(line["blocks"])]
    costs = line["costs"].get(runtime)
    if costs is None:
        return [*head, line["reason"], *[NONE] * 5]
    saved = (line["gap"] or {}).get(runtime, {})
    return [
        *head,
        f"{costs['peak_bytes'] / _MIB:.0f}",
        percent(saved.get("peak_bytes")),
        "; ".join(percent(p["value"]) for p in line["published"]) or NONE,
        f"{costs['slowest_seconds']:.3f}",
        percent(saved.get("slowest_seconds")),
        f"{costs['all_seconds']:.3f}",
    ]


def _parameters(document: Document) -> str:
    """The hyper-parameters in a table, those of ours marked."""
    scale = document["scale"]
    here = [] if scale == FULL else [f"here ({scale})"]
    rows = []
    for found in document["parameters"]:
        changed = found["here"] if found["here"] != found["full"] else "the same"
        rows.append([f"`{found['name']}`", found["full"], *([changed] if here else []), found["source"]])
    ours = sum(found["ours"] for found in document["parameters"])
    words = f'Hyper-parameters: {ours} of {len(rows)} are ours, because no paper gives them; their source begins with "{OURS}".'
    return "\n\n".join([words, table(["hyper-parameter", "full scale", *here, "source"], rows, right=())])


def _own_parameters(document: Document) -> str:
    """The hyper-parameters of a recipe of one's own, as its runs had them."""
    rows = [[f"`{found['name']}`", found["here"]] for found in document["parameters"]]
    return "\n\n".join(["Hyper-parameters:", table(["hyper-parameter", "value"], rows, right=())])
