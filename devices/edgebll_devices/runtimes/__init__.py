"""Runtimes: what computes a block's graphs on a board. `edgebll.kernel.execution.runtime_table` says which is where."""

from __future__ import annotations

from edgebll.kernel.execution.block_runtime import BlockRuntime
from edgebll.kernel.execution.load_context import LoadContext, LoadHalted
from edgebll.kernel.execution.runtime_table import available_runtimes, load_block, missing
from edgebll.kernel.spec.runtime_names import RUNTIMES

__all__ = ["RUNTIMES", "BlockRuntime", "LoadContext", "LoadHalted", "available_runtimes", "load_block", "missing"]
