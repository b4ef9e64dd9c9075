"""What each graph of a block takes and gives, and the check that a graph does.

step.onnx: every state tensor, x, y, every scalar, what is received -> every state tensor + NEXT, a, metrics, what is sent;
where there is nothing to train without y, unless it has a feedback head, and without metrics.
forward.onnx: the forward_state tensors, x, side inputs -> a. forward_int8.onnx: x, side inputs -> a.
feedback.onnx: the feedback_state tensors, y -> beta.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgebll.kernel.errors import BundleError
from edgebll.kernel.spec.manifest import NEXT, BlockSpec, TensorSpec
from edgebll.kernel.spec.side_inputs import side_inputs
from edgebll.kernel.spec.time_chunks import step_input, step_output

Tensors = tuple[TensorSpec, ...]
#: The quantised forward graph, x -> a with frozen weights, of bundles that `edgebll quantize` made.
INT8_GRAPH = "forward_int8"


@dataclass(frozen=True)
class Signature:
    """Inputs and outputs of a graph."""

    inputs: Tensors
    outputs: Tensors


def signature(spec: BlockSpec, graph: str) -> Signature:
    """The signature a block's graph "step", "forward", "feedback" or, where it is quantised, INT8_GRAPH must have."""
    state = {tensor.name: tensor for tensor in spec.state}
    x, y, a = _named(spec.input, "x"), _named(spec.labels, "y"), _named(spec.output, "a")
    if graph == "forward":
        return Signature((*(state[name] for name in spec.forward_state), x, *side_inputs(spec)), (a,))
    if graph == INT8_GRAPH:
        return Signature((x, *side_inputs(spec)), (a,))
    if graph == "feedback" and spec.beta is not None:
        return Signature((*(state[name] for name in spec.feedback_state), y), (_named(spec.beta, "beta"),))
    if graph != "step":
        raise BundleError(f"{spec.name} has no graph {graph!r}; its graphs are {', '.join(spec.graphs)}")
    x, a = _named(step_input(spec), "x"), _named(step_output(spec), "a")
    scalars = (TensorSpec(name, "float32", ()) for name in spec.scalars)
    updated = (_named(tensor, tensor.name + NEXT) for tensor in spec.state)
    labels = (y,) if spec.takes_labels else ()
    metrics = (TensorSpec("metrics", "float32", (len(spec.metrics),)),) if spec.metrics else ()
    return Signature((*spec.state, x, *labels, *scalars, *spec.received), (*updated, a, *metrics, *spec.sent))


def check_signature(where: str, expected: Signature, actual: Signature) -> None:
    """Raise BundleError unless a graph has exactly the expected inputs and outputs, in any order."""
    for role, wanted, found in (
        ("input", expected.inputs, actual.inputs),
        ("output", expected.outputs, actual.outputs),
    ):
        _check(where, role, {tensor.name: tensor for tensor in wanted}, {tensor.name: tensor for tensor in found})


def _check(where: str, role: str, wanted: Mapping[str, TensorSpec], found: Mapping[str, TensorSpec]) -> None:
    if wanted.keys() != found.keys():
        odd = min(wanted.keys() ^ found.keys())
        raise BundleError(
            f"{where}: the {role} {odd!r} is {'missing' if odd in wanted else 'not expected'}; export the bundle again"
        )
    for name, tensor in wanted.items():
        if found[name] != tensor:
            raise BundleError(
                f"{where}: the {role} {name!r} must be {tensor.dtype}{list(tensor.shape)}, "
                f"but is {found[name].dtype}{list(found[name].shape)}; export the bundle again"
            )


def _named(tensor: TensorSpec, name: str) -> TensorSpec:
    return TensorSpec(name, tensor.dtype, tensor.shape)
