"""Export: tracing the training step, lowering it to plain ONNX, writing bundles and verifying them. Needs torch and onnx."""

from __future__ import annotations

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
