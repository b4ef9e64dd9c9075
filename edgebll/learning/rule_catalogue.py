"""What rules there are, and what each needs from the links between boards when it trains a given network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.edge_check import HOST, EdgeSpec
from edgebll.kernel.spec.manifest import BlockSpec
from edgebll.learning import RULE_REGISTRY
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.optimizers.sgd import SGD
from edgebll.learning.rule import Rule, make_steps

#: Tokens that carry tensors without a batch axis are counted per sample of batches of so many.
BATCH_SIZE = 64


@dataclass(frozen=True)
class RuleEdge:
    """One edge of a rule: who sends what to whom, the tokens it starts with, and bytes a sample."""

    source: str
    target: str
    tensors: tuple[str, ...]
    lag: int
    bytes_per_sample: float


@dataclass(frozen=True)
class RuleStreams:
    """The edges of a rule for a network, and most bytes a sample that any block gets from those before and after it."""

    edges: tuple[RuleEdge, ...]
    forward: float
    backward: float


@dataclass(frozen=True)
class RuleEntry:
    """A rule as people choose it.

    Attributes:
        name: as `--rule` takes it.
        summary: what it is, in one line.
        equation: its local loss.
        options: name -> default.
        streams: for the network asked about; empty where the rule cannot train it, and `refusal` says why.
        forward: most bytes a sample that any block gets from those before it, or from the host.
        backward: most bytes a sample that any block gets from those after it.
    """

    name: str
    summary: str
    equation: str
    options: dict[str, Any]
    streams: tuple[RuleEdge, ...]
    forward: float
    backward: float
    refusal: str = ""


def catalogue(build: Callable[[int], BlockNetwork], blocks: int, names: Iterable[str] | None = None) -> list[RuleEntry]:
    """Rules, with their streams for a network.

    Args:
        build: makes the network of so many blocks.
        blocks: how many, for rules that can train more than one.
        names: of the rules; None for all.

    Raises:
        ConfigError: the network cannot be cut into so many blocks.
    """
    networks = {count: build(count) for count in {1, blocks}}
    rules = [RULE_REGISTRY.make(name, {}) for name in (RULE_REGISTRY.names() if names is None else names)]
    return [_entry(rule, networks[1 if rule.one_block else blocks]) for rule in rules]


def _entry(rule: Rule, network: BlockNetwork) -> RuleEntry:
    entry = RuleEntry(rule.name, rule.summary, rule.equation, rule.options(), streams=(), forward=0.0, backward=0.0)
    try:
        specs = _specs(rule, network)
    except ConfigError as error:
        return replace(entry, refusal=str(error))
    found = _streams(rule, specs)  # edges that name what no block has are a fault of the rule, no refusal
    return replace(entry, streams=found.edges, forward=found.forward, backward=found.backward)


def streams_of(rule: Rule, network: BlockNetwork) -> RuleStreams:
    """The streams between the blocks of a network under a rule.

    Args:
        rule: whatever its options are.
        network: in as many blocks as the rule can train.

    Raises:
        ConfigError: the rule cannot train the network.
    """
    return _streams(rule, _specs(rule, network))


def _specs(rule: Rule, network: BlockNetwork) -> list[BlockSpec]:
    return [step.spec for step in make_steps(network, rule, SGD(), BATCH_SIZE)]


def _streams(rule: Rule, specs: Sequence[BlockSpec]) -> RuleStreams:
    edges = edges_of(rule.edges([spec.name for spec in specs]), specs)
    order = {name: index for index, name in enumerate([HOST, *(spec.name for spec in specs)])}
    into = {True: dict.fromkeys(order, 0.0), False: dict.fromkeys(order, 0.0)}
    for edge in edges:
        into[order[edge.source] < order[edge.target]][edge.target] += edge.bytes_per_sample
    return RuleStreams(edges, max(into[True].values()), max(into[False].values()))


def edges_of(edges: Sequence[EdgeSpec], specs: Sequence[BlockSpec]) -> tuple[RuleEdge, ...]:
    """Edges with what they carry a sample.

    Raises:
        ConfigError: an edge names a tensor that its source does not have.
    """
    sources = {spec.name: spec for spec in specs}
    found = []
    for edge in edges:
        spec = sources.get(edge.source, specs[0])  # the host sends what the first block gets
        known = {tensor.name: tensor for tensor in (spec.input, spec.labels, spec.output, *spec.sent)}
        stray = [name for name in edge.tensors if name not in known]
        if stray:
            raise ConfigError(f"{edge.source} has no tensor {stray[0]!r} to send to {edge.target}")
        size = sum(known[name].size_bytes for name in edge.tensors)
        found.append(RuleEdge(edge.source, edge.target, edge.tensors, edge.lag, size / spec.input.shape[0]))
    return tuple(found)
