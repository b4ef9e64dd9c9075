"""The graphs of one block: its training step, its forward pass and its feedback head."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import onnx
import torch
from torch import Tensor

from edgebll.kernel.errors import ExportError
from edgebll.kernel.spec.last_batch import step_scalars
from edgebll.kernel.spec.manifest import NEXT, BlockSpec
from edgebll.kernel.spec.side_inputs import side_inputs
from edgebll.kernel.spec.time_chunks import step_input
from edgebll.learning import BlockStep
from edgebll.learning.step_tensors import scalar_tensors, zeros
from edgebll_export.lowering.lower_trace import lower
from edgebll_export.targets import ONNX, Target
from edgebll_export.tracing.operator_places import place
from edgebll_export.tracing.trace import Trace, trace

_MAX_MODEL_BYTES = 1 << 30


@dataclass(frozen=True)
class BlockModels:
    """Models by graph name ("forward", "feedback", "step") and the block's final signature."""

    spec: BlockSpec
    models: Mapping[str, onnx.ModelProto]


def block_models(step: BlockStep, target: Target = ONNX) -> BlockModels:
    """Trace and lower all graphs of a block for a target; each is checked by onnx.checker in full.

    Raises:
        ExportError: an operator cannot be lowered or run on the target, the target does not compute in the step's precision, or
            a graph ignores one of its inputs.
    """
    target = target.suited(step.precision.name)
    state = step.initial_state()
    x, stepped, y = (zeros([tensor])[tensor.name] for tensor in (step.spec.input, step_input(step.spec), step.spec.labels))
    forward, forward_inputs = _forward(step, state, x, target)
    models = {"forward": forward, "step": _step(step, state, stepped, y, target)}
    feedback_inputs: tuple[str, ...] = ()
    if step.spec.beta is not None:
        models["feedback"], feedback_inputs = _feedback(step, state, y, target)
    for model in models.values():
        check_model(model)
    spec = replace(step.spec, forward_state=forward_inputs, feedback_state=feedback_inputs)
    return BlockModels(spec, models)


def _forward(step: BlockStep, state: dict[str, Tensor], x: Tensor, target: Target) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    given = {"x": x, **zeros(side_inputs(step.spec))}
    inputs = {**{name: state[name] for name in step.spec.forward_state}, **given}

    def function(values: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"a": step.forward(values, values["x"], values)}

    name = f"{step.name}/forward"
    return _split_inputs(*lower(trace(function, inputs, [step.module], name), name, target), *given)


def _feedback(step: BlockStep, state: dict[str, Tensor], y: Tensor, target: Target) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    inputs = {**{name: state[name] for name in step.spec.feedback_state}, "y": y}

    def function(values: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"beta": step.feedback(values, values["y"])}

    name = f"{step.name}/feedback"
    return _split_inputs(*lower(trace(function, inputs, name=name), name, target), "y")


def _split_inputs(model: onnx.ModelProto, used: tuple[str, ...], *given: str) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    for data in given:
        if data not in used:
            raise ExportError(f"{model.graph.name}: the result does not depend on {data}; nothing can be learned from it")
    return model, tuple(name for name in used if name not in given)


def _step(step: BlockStep, state: dict[str, Tensor], x: Tensor, y: Tensor, target: Target) -> onnx.ModelProto:
    scalars = scalar_tensors(step_scalars(step.spec.scalars, 0.1, x.shape[0]))
    received = zeros(step.spec.received)
    inputs = {**state, "x": x, **({"y": y} if step.spec.takes_labels else {}), **scalars, **received}

    def function(values: dict[str, Tensor]) -> dict[str, Tensor]:
        before, given, came = ({name: values[name] for name in names} for names in (state, scalars, received))
        stepped = step(before, values["x"], values.get("y", y), given, came)
        after = {name + NEXT: stepped.state[name] for name in state}
        metrics = {"metrics": stepped.metrics} if step.spec.metrics else {}
        return {**after, "a": stepped.a, **metrics, **stepped.sent}

    name = f"{step.name}/step"
    model, used = lower(_traced(step, function, inputs), name, target)
    unread = [tensor for tensor in (*state, *(() if step.spec.metrics else received)) if tensor not in used]
    if unread:
        model, used = lower(_traced(step, lambda values: _reading(function(values), values, unread), inputs), name, target)
    unused = [tensor for tensor in inputs if tensor not in used]
    if unused:
        raise ExportError(f"{name}: the training step does not use its input {unused[0]!r}; remove it")
    return model


def _traced(step: BlockStep, function: Callable[[dict[str, Tensor]], dict[str, Tensor]], inputs: dict[str, Tensor]) -> Trace:
    """A trace of the step that holds none of the block's own tensors: each must have come in as state."""
    traced = trace(function, inputs, [step.module], f"{step.name}/step")
    own = {value.untyped_storage().data_ptr(): name for name, value in step.module.named_parameters()}
    for node in traced.module.graph.find_nodes(op="get_attr"):
        constant = getattr(traced.module, str(node.target))
        name = own.get(constant.untyped_storage().data_ptr()) if isinstance(constant, Tensor) else None
        if name is not None:
            raise ExportError(
                f"{step.name}/step: {place(next(iter(node.users)))} reads the parameter {name!r} by a reference that is none "
                "of the module's own, so it would stay as it is now; read it from the layer that has it"
            )
    return traced


def _reading(results: dict[str, Tensor], values: dict[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    """What is not read still comes in: state that is only written, such as a buffer for the last activity, and what a block
    with nothing to train receives. All of it does, on every runtime.
    """
    never, read = torch.tensor(False), dict(results)
    for name in names:
        if name + NEXT in results:
            read[name + NEXT] = torch.where(never, values[name], results[name + NEXT])
        else:
            read["a"] = torch.where(never, values[name].flatten()[0].to(read["a"].dtype), read["a"])
    return read


def check_model(model: onnx.ModelProto) -> None:
    """Full check: schema, shapes, default operator domain only, static shapes.

    Raises:
        ExportError: the model is not a plain ONNX file.
    """
    name = model.graph.name
    foreign = {node.domain for node in model.graph.node if node.domain not in ("", "ai.onnx")}
    if foreign:
        raise ExportError(f"{name}: operators of the domain {min(foreign)!r} are not plain ONNX")
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"{name}: the graph does not pass onnx.checker: {str(error).splitlines()[0]}") from error
