"""Microcontrollers: plans of blocks, which a small C runtime executes."""
