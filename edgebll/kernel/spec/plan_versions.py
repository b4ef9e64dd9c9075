"""Versions of the plans that microcontrollers run; firmware tells the newest that it knows, and runs those before it."""

from __future__ import annotations

#: Of plans in which all is float32, and of those with int8 or int16.
VERSION, INT8_VERSION = 1, 2
#: What to do where firmware runs plans of VERSION alone.
INT8_CURE = "build it again and flash it: edgebll firmware build --int8"
