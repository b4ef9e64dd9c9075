"""What this process may use of its machine: memory, processors and descriptors, by whatever sets the least limit."""

from __future__ import annotations

from edgebll.kernel.limits.descriptors import check_descriptors, raise_descriptor_limit
from edgebll.kernel.limits.memory import Memory, kills_for_memory, own_bytes, read_memory
from edgebll.kernel.limits.processors import default_threads, usable_cores, usable_processors

__all__ = [
    "Memory",
    "check_descriptors",
    "default_threads",
    "kills_for_memory",
    "own_bytes",
    "raise_descriptor_limit",
    "read_memory",
    "usable_cores",
    "usable_processors",
]
