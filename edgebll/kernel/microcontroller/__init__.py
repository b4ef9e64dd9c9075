"""Microcontrollers: plans of blocks, which a small C runtime executes."""

from edgebll.kernel.microcontroller.block_plan import BlockPlan, plan_block, plan_int8_forward
from edgebll.kernel.microcontroller.graph_plan import PlannedGraph
from edgebll.kernel.microcontroller.tensor_places import StateLayout, TensorPlace

__all__ = ["BlockPlan", "PlannedGraph", "StateLayout", "TensorPlace", "plan_block", "plan_int8_forward"]
