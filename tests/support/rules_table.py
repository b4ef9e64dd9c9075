"""Writes docs/reference/rules.md: which rule trains which network on boards, found out by trying.

    python -m support.rules_table [RULE ...] [NETWORK ...]      in tests/; without names all, minutes a rule

Cells that are tried are replaced, all others stay. Rules and networks are those of support/rules.py.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from edgebll.kernel.errors import ConfigError, EdgebllError
from edgebll.learning import make_rule
from edgebll.learning.networks import make_network
from edgebll.learning.rule_catalogue import BATCH_SIZE, streams_of
from support.rules import NETWORKS, VARIANTS, agents, check_rule

PATH = Path(__file__).parents[2] / "docs" / "reference" / "rules.md"
YES, ONE_BLOCK, SPIKES, REFUSED, FAILED = "yes", "one block", "spikes", "no", "fails"
_INTRO = """# Rules and networks

Every cell was tried on a small form of the network, with batches of 16: the network in four blocks is exported, ten steps of
its graphs agree with PyTorch's to a relative 1e-4, and training over two and over four board processes gives, bit for bit, the
weights of running the blocks one after another. `python -m support.rules_table` in tests/ tries it all and writes this page.

What each rule is, which streams it has and what they cost: `edgebll rules`. The networks: `edgebll networks`. BLL has more
forms than rows here: [forms of BLL](bll-forms.md).
"""
_TRAFFIC = f"""## What travels in a step

ResNet-18 in four blocks, images of 3 x 32 x 32, batches of {BATCH_SIZE}: the most MB that any block gets in a training step,
from the host or blocks before it, and from blocks after it. Rules that are not here send what bll does. For other networks:
`edgebll rules --network NAME --blocks K`; of a bundle, `edgebll plan` tells what crosses links.
"""
_NOT_BUILT = """## Not built

SLL (stochastic layer-wise learning, Yin and Corradi, arXiv 2505.05181) gives each layer a loss after an evidence lower bound,
in which a Bhattacharyya surrogate of categorical posteriors, made of neighbouring layers by fixed random projections, stands
for the divergence. Its abstract and the beginning of its introduction could be read. They do not say how the terms are
weighted, how wide the projections are and how they are drawn and scaled, what they see of maps, and which of two layers a
gradient reaches; and the authors' repository, byin-cwi/SLL, could not be had. A rule of that name would be a guess.
"""
_ONE_BLOCK_NOTE = (
    "one block: the error of these rules crosses the whole network, which cannot be cut then, and runs on one board."
)
_SPIKES_NOTE = "spikes: these rules train spiking networks alone, and say so."
_CELL_NOTES = (_ONE_BLOCK_NOTE, "", _SPIKES_NOTE)


def read_rows(text: str) -> dict[str, list[str]]:
    """Rule -> cells, from the page's table."""
    first, _, _ = text.partition("\n## ")
    lines = [line.strip("| ").split(" | ") for line in first.splitlines() if line.startswith("| ")]
    return {cells[0]: cells[1:] for cells in lines[1:]}


def traffic() -> list[str]:
    """The page's lines on what travels: of bll, and of rules whose blocks tell each other more than activations and labels."""
    network = make_network("resnet18", num_blocks=4, num_classes=10, input_shape=(3, 32, 32), seed=0)
    lines = [*_TRAFFIC.splitlines(), "", "| rule | forward | backward | steps late |", "|---|---|---|---|"]
    for variant, (name, options) in VARIANTS.items():
        rule = make_rule(name, **options)
        if rule.one_block or rule.spiking:
            continue
        streams = streams_of(rule, network)
        if len(streams.edges) == len(network.blocks) and variant != "bll":
            continue
        late = {edge.lag for edge in streams.edges if edge.lag}
        sizes = (f"{size * BATCH_SIZE / 1e6:.2f}" for size in (streams.forward, streams.backward))
        lines.append(f"| {' | '.join([variant, *sizes, ', '.join(map(str, sorted(late))) or '-'])} |")
    return lines


def _notes(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith((f"{REFUSED}: ", f"{FAILED}: "))]


def _try(variant: str, network: str, clusters: dict, folder: Path) -> tuple[str, str]:
    """The cell, and why unless it is a yes."""
    name, options = VARIANTS[variant]
    try:
        check_rule(variant, network, clusters, folder)
    except ConfigError as error:
        if make_rule(name, **options).spiking and "trains spiking networks" in str(error):
            return SPIKES, ""
        return REFUSED, f"{REFUSED}: {variant} on {network}: {error}"
    except (AssertionError, EdgebllError) as error:
        print(f"{variant} on {network}: {error}", flush=True)
        return FAILED, f"{FAILED}: {variant} on {network}: {str(error).splitlines()[0]}"
    return (ONE_BLOCK if make_rule(name, **options).one_block else YES), ""


def _page(rows: dict[str, list[str]], notes: list[str]) -> str:
    table = ["| rule | " + " | ".join(NETWORKS) + " |", "|---" * (len(NETWORKS) + 1) + "|"]
    table += [f"| {variant} | {' | '.join(rows[variant])} |" for variant in VARIANTS if variant in rows]
    return "\n".join(
        [
            _INTRO,
            *table,
            "",
            *_CELL_NOTES,
            *(f"\n{note}" for note in notes),
            "",
            *traffic(),
            "",
            _NOT_BUILT,
        ]
    )


def main() -> None:
    """Try rules and write the page after each."""
    chosen = [name for name in sys.argv[1:] if name in VARIANTS] or list(VARIANTS)
    networks = [name for name in sys.argv[1:] if name in NETWORKS] or list(NETWORKS)
    before = PATH.read_text() if PATH.exists() else ""
    rows, notes = read_rows(before), _notes(before)
    with tempfile.TemporaryDirectory() as folder, agents(Path(folder)) as clusters:
        for variant in chosen:
            started = time.monotonic()
            tried = {n: _try(variant, n, clusters, Path(folder) / f"{variant} {n}") for n in networks}
            cells = dict(zip(NETWORKS, rows.get(variant, []), strict=False)) | {n: cell for n, (cell, _) in tried.items()}
            rows[variant] = [cells[n] for n in NETWORKS]
            again = tuple(f": {variant} on {n}: " for n in networks)
            notes = [note for note in notes if not any(one in note for one in again)] + [
                why for _, why in tried.values() if why
            ]
            PATH.write_text(_page(rows, notes))
            print(f"{variant}: {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
