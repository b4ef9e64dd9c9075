"""Targets: what a graph is exported for, and what can run there."""

from __future__ import annotations

from edgebll_export.targets.registry import MAX_OPSET, MIN_OPSET, TARGETS, make_target
from edgebll_export.targets.target import ONNX, Target

__all__ = ["MAX_OPSET", "MIN_OPSET", "ONNX", "TARGETS", "Target", "make_target"]
