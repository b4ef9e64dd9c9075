"""Export: tracing the training step, lowering it to plain ONNX, writing bundles and verifying them. Needs torch and onnx.

The names are imported when they are asked for: the help of `edgebll export` needs neither torch nor onnx.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgebll_export.bundles.block_check import VerifyRow
    from edgebll_export.bundles.export_bundle import export_bundle, export_run
    from edgebll_export.bundles.verify import verify_bundle
    from edgebll_export.functions.export_step import StepExport, export_step
    from edgebll_export.lowering_registry import lowering
    from edgebll_export.targets import TARGETS, Target, make_target

__all__ = [
    "TARGETS",
    "StepExport",
    "Target",
    "VerifyRow",
    "export_bundle",
    "export_run",
    "export_step",
    "lowering",
    "make_target",
    "verify_bundle",
]

_PLACES = {
    "TARGETS": "targets",
    "StepExport": "functions.export_step",
    "Target": "targets",
    "VerifyRow": "bundles.block_check",
    "export_bundle": "bundles.export_bundle",
    "export_run": "bundles.export_bundle",
    "export_step": "functions.export_step",
    "lowering": "lowering_registry",
    "make_target": "targets",
    "verify_bundle": "bundles.verify",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)


class _Package(ModuleType):
    """`lowering` is the function that registers one; importing the folder of that name would put that in its place."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name == "lowering" and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
