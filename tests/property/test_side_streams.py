"""Side streams: whatever order tokens come in, each step takes the same ones; what cannot run is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebll.kernel.errors import BundleError, LinkError
from edgebll.kernel.spec.edge_check import HOST, EdgeSpec, check_edges, received_name
from edgebll.kernel.spec.manifest import BlockSpec, TensorSpec
from edgebll.kernel.state.side_stream_queues import Inlet, Outlet, check_waiting, flatten, nest

SOURCES = ("block0", "block2", "block3")
NOTE = TensorSpec("note", "float32", (2,))


def inlet(lags: dict[str, int], start: int = 0, waiting: dict | None = None) -> Inlet[str]:
    """Into block1, of words instead of tensors."""
    edges = [EdgeSpec(source, "block1", ("note",), lag) for source, lag in lags.items()]
    received = [replace(NOTE, name=received_name(source, "note")) for source in lags]
    return Inlet(edges, received, lambda spec: f"zeros for {spec.name}", start, waiting)


lags = st.dictionaries(st.sampled_from(SOURCES), st.integers(0, 3), min_size=1)


@given(lags=lags, steps=st.integers(1, 6), data=st.data())
def test_any_order_of_puts_gives_the_same_takes(lags: dict[str, int], steps: int, data: st.DataObject) -> None:
    queue = inlet(lags)
    order = data.draw(st.permutations([source for source in lags for _ in range(steps)]))
    put = dict.fromkeys(lags, 0)
    taken: list[dict[str, str]] = []
    for source in order:
        queue.put(source, put[source], {"note": f"{source} {put[source]}"})
        put[source] += 1
        while queue.ready and data.draw(st.booleans()):
            taken.append(queue.take())
    while queue.ready:
        taken.append(queue.take())
    assert len(taken) == steps + min(lags.values())
    for step, received in enumerate(taken):
        for source, lag in lags.items():
            name = received_name(source, "note")
            assert received.pop(name) == (f"{source} {step - lag}" if step >= lag else f"zeros for {name}")
        assert received == {}


@given(lags=lags, before=st.integers(0, 4), after=st.integers(0, 4))
def test_waiting_tokens_carry_a_run_over_a_checkpoint(lags: dict[str, int], before: int, after: int) -> None:
    whole, first = inlet(lags), inlet(lags)
    taken: dict[int, list[dict[str, str]]] = {0: [], 1: []}

    def run(which: int, queue: Inlet[str], steps: range) -> None:
        for step in steps:
            for source in lags:
                queue.put(source, step, {"note": f"{source} {step}"})
            taken[which].append(queue.take())

    run(0, whole, range(before + after))
    run(1, first, range(before))
    assert {source: len(tokens) for source, tokens in first.waiting().items()} == lags
    run(1, inlet(lags, before, first.waiting()), range(before, before + after))
    assert taken[0] == taken[1]


@given(start=st.integers(0, 5), step=st.integers(-1, 12))
def test_gaps_doubles_and_strangers_are_refused(start: int, step: int) -> None:
    queue = inlet({"block0": 1}, start)
    if step == start:
        queue.put("block0", step, {"note": ""})
        step -= 1  # now a double
    with pytest.raises(LinkError, match=f"training step {step} of block0"):
        queue.put("block0", step, {"note": ""})
    with pytest.raises(LinkError, match="expected was only block0"):
        queue.put("block7", start, {"note": ""})


def block(index: int, received: tuple[str, ...] = (), sent: tuple[str, ...] = ()) -> BlockSpec:
    x, y, a = (TensorSpec(name, "float32", (2, 3)) for name in ("x", "y", "a"))
    w = TensorSpec("w", "float32", ())
    takes, gives = (tuple(replace(NOTE, name=name) for name in names) for names in (received, sent))
    return BlockSpec(f"block{index}", x, y, a, (w,), ("lr",), ("loss",), ("w",), received=takes, sent=gives)


CHAIN = (
    EdgeSpec(HOST, "block0", ("x", "y")),
    EdgeSpec("block0", "block1", ("a", "y")),
    EdgeSpec("block1", "block2", ("a", "y")),
)
BACK = EdgeSpec("block2", "block0", ("note",), 1)
BLOCKS = (block(0, received=("block2.note",)), block(1), block(2, sent=("note", "other")))


def test_a_sound_network_passes() -> None:
    check_edges((*CHAIN, BACK), BLOCKS)
    check_edges((BACK, *reversed(CHAIN)), BLOCKS)
    check_edges(CHAIN, (block(0), block(1), block(2)))


@pytest.mark.parametrize(
    ("edges", "reason"),
    [
        (CHAIN[:2], "the chain must run from the host through block0, block1, block2 without lag"),
        ((*CHAIN, CHAIN[1]), "the chain must run"),
        ((CHAIN[0], replace(CHAIN[1], lag=1), CHAIN[2]), "the chain must run"),
        ((CHAIN[0], replace(CHAIN[1], target="block2"), CHAIN[2]), "the chain must run"),
        ((*CHAIN, BACK, replace(BACK, tensors=("other",))), "two side streams run between the same blocks"),
        ((*CHAIN, replace(BACK, source=HOST)), "must run between blocks"),
        ((*CHAIN, replace(BACK, target=HOST)), "must run between blocks"),
        ((*CHAIN, replace(BACK, target="block9")), "names 'block9', but the blocks are block0, block1, block2"),
        ((*CHAIN, replace(BACK, source="block9")), "names 'block9', but the blocks are block0, block1, block2"),
        ((*CHAIN, replace(BACK, lag=0)), "lag must be at least 1, not 0"),
        ((*CHAIN, BACK, EdgeSpec("block2", "block2", ("note",), 0)), "lag must be at least 1, not 0"),
        ((*CHAIN, replace(BACK, tensors=("ghost",))), "carries ghost; block2 sends note, other"),
        ((*CHAIN, replace(BACK, tensors=())), "carries nothing"),
        ((*CHAIN, replace(BACK, source="block1")), "carries note; block1 sends nothing"),
        (CHAIN, "block0 needs block2.note, but its side streams carry nothing"),
        ((*CHAIN, BACK, replace(BACK, target="block1")), "block1 needs nothing, but its side streams carry block2.note"),
        ((*CHAIN, replace(BACK, tensors=("other",))), "block0 needs block2.note, but its side streams carry block2.other"),
    ],
)
def test_what_cannot_run_is_refused(edges: tuple[EdgeSpec, ...], reason: str) -> None:
    with pytest.raises(BundleError, match=reason):
        check_edges(edges, BLOCKS)


def test_another_shape_is_refused() -> None:
    sender = replace(BLOCKS[2], sent=(replace(NOTE, shape=(3,)),))
    with pytest.raises(BundleError, match="or other shapes"):
        check_edges((*CHAIN, BACK), (*BLOCKS[:2], sender))


@given(lags=lags, steps=st.integers(0, 6))
def test_a_source_remembers_what_waits_for_its_targets(lags: dict[str, int], steps: int) -> None:
    """The last `lag` tokens of each stream, zeros before the first step; and so they go over a file."""
    edges = [EdgeSpec("block1", target, ("note",), lag) for target, lag in lags.items()]
    outlet = Outlet(edges, [NOTE], lambda spec: f"zeros for {spec.name}")
    for step in range(steps):
        assert outlet.send({"note": f"{step}"}) == [(edge, {"note": f"{step}"}) for edge in edges]
    waiting = outlet.waiting()
    for target, lag in lags.items():
        expected = [f"{step}" if step >= 0 else "zeros for note" for step in range(steps - lag, steps)]
        assert [token["note"] for token in waiting.get(target, {}).get("block1", ())] == expected
    assert nest(flatten(waiting)) == waiting
    check_waiting(waiting, edges)
    assert Outlet(edges, [NOTE], str, waiting).waiting() == waiting


@pytest.mark.parametrize("name", ["", "a", "a/b/0", "a/b/x/c", "a/b/-1/c", "a/b/9999999999/c", "a/b/0/"])
def test_names_that_are_no_tokens_are_refused(name: str) -> None:
    with pytest.raises(LinkError, match="is not the name of a token's tensor"):
        nest({name: 1})


@pytest.mark.parametrize("tokens", [[], [{"note": 1}] * 3, [{"note": 1}, {"other": 1}]])
def test_missing_and_odd_tokens_are_refused(tokens: list[dict[str, int]]) -> None:
    with pytest.raises(LinkError, match="wait on the side stream from block1 to block0, expected were 2 with note"):
        check_waiting({"block0": {"block1": tokens}}, [EdgeSpec("block1", "block0", ("note",), 2)])
