"""Microcontrollers that can be emulated, by the names of their files beside the firmware; "host" is a process of this machine.

Hosts name them and boards emulate them, and neither knows the other: so the names are here. A file that is missing here, or a
name without a file, fails a test.
"""

from __future__ import annotations

EMULATED = ("host", "mps2-an385", "mps2-an386", "mps3-an547", "stm32f405")
#: A Cortex-M4F.
DEFAULT_EMULATED = "mps2-an386"
