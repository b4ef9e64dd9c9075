"""docs/reference/rules.md has a row for every rule and a column for every network.

`python -m support.rules_table` writes it.
"""

from __future__ import annotations

from support.rules import NETWORKS, VARIANTS
from support.rules_table import ONE_BLOCK, PATH, REFUSED, SPIKES, YES, read_rows, traffic

from edgebll.learning import make_rule
from edgebll.learning.networks import NETWORKS as SHIPPED


def test_every_rule_was_tried_on_every_network() -> None:
    assert set(NETWORKS) == set(SHIPPED)
    text = PATH.read_text()
    rows = read_rows(text)
    assert list(rows) == list(VARIANTS), "run `python -m support.rules_table RULE` in tests/ for what is new"
    for variant, cells in rows.items():
        name, options = VARIANTS[variant]
        assert len(cells) == len(NETWORKS)
        rule = make_rule(name, **options)
        assert set(cells) <= ({ONE_BLOCK} if rule.one_block else {YES, REFUSED, *({SPIKES} if rule.spiking else ())})
        for network, cell in zip(NETWORKS, cells, strict=True):
            assert (f"no: {variant} on {network}: " in text) == (cell == REFUSED)


def test_what_rules_send_is_told() -> None:
    assert "\n".join(traffic()) in PATH.read_text(), "run `python -m support.rules_table RULE` in tests/ for what is new"
