"""Any pure PyTorch function as a plain ONNX graph: gradients and updates inside it included.

The function maps trees of tensors to a tree of tensors. It is run once on copies of an example, which says what it returns and
whether it is pure, then traced, lowered, and run on ONNX Runtime beside PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx

from edgebll.kernel.support.atomic_files import check_parents, write_atomic
from edgebll_export.bundles.block_models import check_model
from edgebll_export.bundles.one_at_a_time import one_at_a_time
from edgebll_export.functions.step_call import Call
from edgebll_export.functions.step_check import Comparison, compare
from edgebll_export.functions.step_repeat import eager_results
from edgebll_export.functions.step_trace import traced_call
from edgebll_export.lowering.lower_trace import lower
from edgebll_export.targets import Target, make_target


@dataclass(frozen=True)
class StepExport:
    """What `export_step` made.

    Attributes:
        model: the graph.
        inputs: names of its inputs, in order.
        outputs: names of its outputs, in order.
        unused: tensors of the example the results do not depend on; they are no inputs of the graph.
        fixed: numbers and texts of the example, which are constants in the graph.
        comparison: how far ONNX Runtime's outputs are from PyTorch's; without errors if not checked.
    """

    model: onnx.ModelProto
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    unused: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    comparison: Comparison = field(default_factory=Comparison)

    @property
    def errors(self) -> Mapping[str, float]:
        """Largest relative error of each output on ONNX Runtime against PyTorch; empty if not checked."""
        return self.comparison.errors


@one_at_a_time
def export_step(
    function: Callable[..., Any],
    example: Any,
    path: Path | str | None = None,
    *,
    target: Target | str = "onnx",
    check: bool = True,
    tolerance: float | None = None,
) -> StepExport:
    """Turn a pure function of tensors into one ONNX graph of static shapes and default operators, and write it to `path`.

    Args:
        function: maps trees of tensors to a tree of tensors; may use torch.func.grad, torch.autograd.grad and functional_call.
        example: its arguments: a tuple of positional ones, a dict of named ones, or its only argument. Tensors are on the CPU.
        path: the file to write, which is written only if all went well; None for none.
        target: what the graph is for; a name of edgebll_export.targets.TARGETS or a Target.
        check: whether to run the graph on ONNX Runtime beside PyTorch.
        tolerance: largest relative error then, by default 1e-4, or 1e-2 where float16 is inside; elements that rounding of the
            example moves as far may be further off.

    Returns:
        The graph. Inputs are named by argument and path ("params.conv.weight"), outputs by their path in the result
        ("grads.conv.weight"; "output" for a lone tensor, "output0" and so on for the items of a tuple). An output with the name
        of an input gets ".next" appended.

    Raises:
        ConfigError: the example does not fit the function or holds what cannot be an input.
        VerifyError: ONNX Runtime's results differ.
        StorageError: the file cannot be written.
        ExportError: the function is not pure, random, gives other results when it is called again, or uses what cannot be
            exported; says what and where.

    Examples:
        >>> import torch
        >>> from edgebll_export import export_step
        >>> def step(w, x, lr):
        ...     return {"w": w - lr * torch.func.grad(lambda w: (x @ w).square().mean())(w)}
        >>> export_step(step, (torch.ones(4, 2), torch.ones(8, 4), torch.tensor(0.1))).outputs
        ('w.next',)
    """
    chosen = make_target(target) if isinstance(target, str) else target
    if path is not None:
        check_parents(Path(path))
    call = Call(function, example)
    expected = eager_results(call)
    traced = traced_call(call)
    model, used = lower(traced, call.name, chosen)
    check_model(model)
    comparison = compare(model, traced, call, expected, tolerance) if check else Comparison()
    if path is not None:
        write_atomic(Path(path), model.SerializeToString(deterministic=True))
    unused = tuple(name for name in call.tensors if name not in used)
    return StepExport(model, used, tuple(expected), unused, call.fixed, comparison)
