"""Trees of tensors (dicts, lists, tuples, named tuples, dataclasses) and the names their leaves get in a graph.

The name of a leaf is the path to it, joined with dots: {"params": {"conv.weight": w}} has the leaf "params.conv.weight".
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch.utils._pytree as pytree


def leaves_with_names(tree: Any) -> list[tuple[tuple[str, ...], Any]]:
    """Path and value of every leaf; dataclasses in the tree become known to PyTorch's pytrees on the way."""
    _register_dataclasses(tree)
    leaves, _ = pytree.tree_flatten_with_path(tree)
    return [(tuple(_key(key) for key in path), leaf) for path, leaf in leaves]


def with_leaves(tree: Any, leaves: list[Any]) -> Any:
    """The same tree with other leaves, in the order of `leaves_with_names`."""
    return pytree.tree_unflatten(leaves, pytree.tree_structure(tree))


def _key(key: Any) -> str:
    if isinstance(key, pytree.SequenceKey):
        return str(key.idx)
    return str(key.name if isinstance(key, pytree.GetAttrKey) else getattr(key, "key", key))


def _register_dataclasses(tree: Any) -> None:
    while True:
        unknown = {
            type(leaf) for leaf in pytree.tree_leaves(tree) if dataclasses.is_dataclass(leaf) and not isinstance(leaf, type)
        }
        if not unknown:
            return
        for cls in unknown:
            _register(cls)


def _register(cls: type[Any]) -> None:
    names = [field.name for field in dataclasses.fields(cls)]

    def flatten(value: Any) -> tuple[list[Any], None]:
        return [getattr(value, name) for name in names], None

    def flatten_with_keys(value: Any) -> tuple[list[tuple[Any, Any]], None]:
        return [(pytree.GetAttrKey(name), getattr(value, name)) for name in names], None

    def unflatten(values: Any, _: Any) -> Any:
        made = object.__new__(cls)
        for name, value in zip(names, values, strict=True):
            object.__setattr__(made, name, value)  # frozen ones too
        return made

    pytree.register_pytree_node(cls, flatten, unflatten, flatten_with_keys_fn=flatten_with_keys)
