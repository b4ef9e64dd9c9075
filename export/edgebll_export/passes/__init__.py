"""Passes over the nodes a GraphBuilder collected, before they become a model. Each is a function in a file of its own."""

from edgebll_export.passes.fuse_updates import fuse_updates

__all__ = ["fuse_updates"]
