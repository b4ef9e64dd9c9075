"""The version of edgebll: of the command, of every message to a board, and of what is written to disk."""

__version__ = "0.1.0"
