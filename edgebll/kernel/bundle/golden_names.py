"""Names of what golden.safetensors holds beside inputs and outputs; see `Bundle.golden`."""

from __future__ import annotations


def state_name(step: int, num_steps: int, tensor: str) -> str:
    """Of a state tensor after one of `num_steps` recorded steps."""
    return f"final/{tensor}" if step == num_steps - 1 else f"{step}/next/{tensor}"


def reach_name(name: str) -> str:
    """Of how far rounding moves the golden tensor `name`: its `Size`, peak and mean."""
    return f"rounding/{name}"
