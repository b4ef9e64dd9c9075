"""What every rule must do with every network: export, equal the eager step, and give the same bits on any boards."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.state.block_state import state_sha256
from edgebll.kernel.wire import END, EVAL, TRAIN
from edgebll.learning import RULES, SGD, make_rule
from edgebll.learning.networks import make_network
from edgebll_export import export_bundle, verify_bundle
from edgebll_firmware_host.inventory import BoardEntry, Cluster, HostEntry
from support.board_runs import run_alone, run_over
from support.direct_host import agent_process

#: Rules that train networks without spikes.
DENSE = {name: rule for name, rule in RULES.items() if not rule.spiking}
#: Rules, with options where one has variants that differ in their graphs.
VARIANTS: dict[str, tuple[str, dict[str, object]]] = {
    **{name: (name, {}) for name in RULES},
    "greedy, conv": ("greedy", {"classifier": "conv"}),
    "bll, chained": ("bll", {"feedback": "chain"}),
    "infopro, contrast": ("infopro", {"loss": "contrast"}),
    "decolle, in chunks": ("decolle", {"chunk": 2}),
    "eprop, in chunks": ("eprop", {"chunk": 2, "feedback": "random"}),
    "backlink, no waiting": ("backlink", {"lag": 1, "length": 2}),
}
#: Forms of BLL, which together have each target, scale, schedule, head and term.
BLL_FORMS: dict[str, tuple[str, dict[str, object]]] = {
    "global mean, decaying": ("bll", {"target": "global_mean", "match_schedule": "decaying", "match_steps": 4}),
    "codes, standardised": ("bll", {"target": "random_codes", "match_on": "standardised", "variance": "learned"}),
    "simplex, bayes": ("bll", {"target": "simplex", "match_on": "centred", "head": "bayes", "pool": "none"}),
    "shuffled, growing, conv": ("bll", {"target": "shuffled", "match_schedule": "growing", "pool": "std", "head": "conv"}),
    "zero, learned variance": ("bll", {"target": "zero", "variance": "learned", "feedback": "lstsq", "pool": "max"}),
    "auglocal, reconstruct": ("bll", {"head": "auglocal", "aux_depth": 1, "reconstruct": 0.5, "reconstruct_decay": 1.0}),
    "spread": ("bll", {"entropy": 0.1, "spread": 0.5, "decorrelate_channels": 0.1, "soften": 0.5, "predict_growth": 1.0}),
    "chained, learned bayes": ("bll", {"feedback": "chain", "variance": "learned", "head": "bayes", "reconstruct": 1.0}),
}
#: Forms of rules that only spiking networks know.
SPIKING_FORMS: dict[str, tuple[str, dict[str, object]]] = {
    "bll, bernoulli": ("bll", {"latent": "bernoulli", "match": 0.1, "trace": 3.0}),
    "bll, poisson": ("bll", {"latent": "poisson", "match": 0.1, "feedback": "lstsq", "pool": "none"}),
}
#: Small forms of the networks: options, shape of a sample, classes.
NETWORKS: dict[str, tuple[dict[str, object], tuple[int, ...], int]] = {
    "mlp": ({}, (1, 8, 8), 10),
    "resnet8": ({"width": 4}, (1, 8, 8), 10),
    "resnet18": ({"width": 4}, (3, 8, 8), 10),
    "resnet32": ({"width": 4}, (3, 8, 8), 10),
    "resnet50": ({"width": 4}, (3, 8, 8), 10),
    "resnet110": ({"width": 4}, (3, 8, 8), 10),
    "vgg16": ({"width": 4, "hidden": 16}, (3, 32, 32), 10),
    "alexnet": ({"width": 8, "hidden": 16}, (3, 32, 32), 10),
    "transformer": ({"depth": 4, "dim": 16, "hidden": 16}, (10, 10), 10),
    "byte-transformer": ({"depth": 4, "dim": 16, "heads": 2, "hidden": 16}, (10, 10), 10),
    "spiking-mlp": ({"width": 16}, (4, 2, 4, 4), 10),
    "spiking-conv": ({"width": 4, "time_steps": 4}, (1, 8, 8), 10),
}
_KINDS = (*(TRAIN,) * 5, EVAL, TRAIN, END)
_BATCH = 16
_RUNS = itertools.count()


@contextlib.contextmanager
def agents(folder: Path) -> Iterator[dict[int, Cluster]]:
    """Clusters of two and of four agents, which run for the length of a `with`, by their number."""
    with contextlib.ExitStack() as stack:
        started = [stack.enter_context(agent_process(folder / name, name=name)) for name in "abcd"]
        boards = tuple(BoardEntry(agent.name, agent.endpoint) for agent in started)
        yield {number: Cluster(boards[:number], HostEntry(window=window)) for number, window in ((2, 8), (4, 3))}


def check_rule(variant: str, network: str, clusters: Mapping[int, Cluster], folder: Path) -> None:
    """Export four blocks, verify over ten steps, run one block after another and over the boards of each cluster."""
    name, options = {**VARIANTS, **BLL_FORMS, **SPIKING_FORMS}[variant]
    shape, samples, classes = NETWORKS[network]
    rule = make_rule(name, **options)
    blocks = 1 if rule.one_block else 4
    made = make_network(network, num_blocks=blocks, num_classes=classes, input_shape=samples, seed=0, options=shape)
    export_bundle(made, rule=rule, optimizer=SGD(), batch_size=_BATCH, path=folder / "bundle")
    failed = [row for row in verify_bundle(folder / "bundle", steps=10, tolerance=1e-4) if row.failed]
    assert not failed, failed[0]
    bundle = open_bundle(folder / "bundle")
    alone = run_alone(bundle, _KINDS)
    for number, cluster in clusters.items():
        outcome = run_over(bundle, _KINDS, cluster, folder / f"run{next(_RUNS)}")
        assert state_sha256(outcome.states) == state_sha256(alone)
        assert len(outcome.placement.blocks) == min(number, blocks)
    for block, new in alone.items():
        old = bundle.state(block)
        assert any((new[tensor] != value).any() for tensor, value in old.items() if tensor.startswith("net.")), block
