"""Runs in virtual time: the host's own decisions, driven by a clock that costs nothing, over boards that are only described."""
