"""A layer in the place of another one, for code that reads what the other one has."""

from __future__ import annotations

from typing import Any

from torch import nn


class LayerProxy(nn.Module):
    """A layer that takes the place of another and answers for it: `in_features`, `stride`, whatever it has not itself."""

    def stand_for(self, layer: nn.Module) -> None:
        """Answer for a layer; to be called once this one has all of its own, for PyTorch registers no name twice.

        Args:
            layer: whose place it takes.
        """
        self._layer = [layer]  # in a list, so that it is no child and its tensors are not named twice

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            stood_for = self.__dict__.get("_layer")
            if stood_for is None:  # nothing is there yet, as while Python copies it
                raise
            return getattr(stood_for[0], name)
