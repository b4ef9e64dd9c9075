"""Cases of the lowerings: one table CASES in every tests/unit/export/test_lowering_*.py, and what they reach."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from edgebll_export.composites import COMPOSITES, Composite
from edgebll_export.lowering import lower_trace as lower_module
from support.graphs import assert_lowered_equals_float64, to_model, with_gradients

#: A function of tensors, and for each of them its shape (filled at random) or its content.
Case = tuple[Callable[..., torch.Tensor], Sequence[tuple[int, ...] | torch.Tensor]]
Cases = Mapping[str, Case]
_FOLDER = Path(__file__).resolve().parents[1] / "unit" / "export"


def case_inputs(name: str, case: Case) -> list[torch.Tensor]:
    """Inputs of a case, the same at every call."""
    generator = torch.Generator().manual_seed(len(name))
    return [part if isinstance(part, torch.Tensor) else torch.randn(part, generator=generator) for part in case[1]]


def check_case(name: str, case: Case) -> None:
    """Value and gradients on ONNX Runtime against float64 autograd."""
    assert_lowered_equals_float64(case[0], case_inputs(name, case))


def all_cases() -> dict[str, Case]:
    """Every case of every family, as "file: case"."""
    found: dict[str, Case] = {}
    for path in sorted(_FOLDER.glob("test_lowering_*.py")):
        spec = importlib.util.spec_from_file_location(f"cases_of_{path.stem}", path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} is not a Python file")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found.update({f"{path.stem}: {name}": case for name, case in module.CASES.items()})
    return found


def reached_operators(cases: Cases) -> set[str]:
    """ATen operators that value and gradient of the cases are lowered from."""
    with recorded_operators() as seen:
        for name, case in cases.items():
            to_model(with_gradients(case[0]), case_inputs(name, case))
    return seen


@contextmanager
def recorded_operators() -> Iterator[set[str]]:
    """The ATen operators lowered or taken apart while this is open; those of complex tensors as "complex aten.mul.Tensor"."""
    seen: set[str] = set()
    original = lower_module._Lowerer._call

    def recording(self: Any, node: torch.fx.Node) -> Any:
        kind = "complex " if lower_module._is_complex(node) else ""
        seen.add(f"{kind}{node.target}")
        return original(self, node)

    def noted(entry: Composite) -> Composite:
        def function(*args: Any, **kwargs: Any) -> Any:
            seen.add(entry.operator)
            return entry.function(*args, **kwargs)

        return replace(entry, function=function)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lower_module._Lowerer, "_call", recording)
        for name, entry in COMPOSITES.items():
            patch.setitem(COMPOSITES, name, noted(entry))
        yield seen
