"""Weights to begin with, from a file: all of a network's, by name and shape, or a table of what does not fit."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.atomic_files import sha256_file
from edgebll.learning.networks.block_network import BlockNetwork

#: Entries under which programs keep the weights beside other things.
_NESTED = ("state_dict", "model_state_dict", "model")
_SHOWN = 3


@dataclass(frozen=True)
class StartWeights:
    """What a network begins with.

    Attributes:
        file: absolute path of the file; empty for weights that are drawn.
        sha256: of the file, 64 hex digits; empty until it was looked at.
        left_out: patterns of the network's names that stay as they are drawn, e.g. "head.*".
    """

    file: str = ""
    sha256: str = ""
    left_out: tuple[str, ...] = ()

    @classmethod
    def of(cls, file: str | os.PathLike[str] | None, left_out: str | tuple[str, ...] | list[str] | None) -> StartWeights:
        """What options say; raises ConfigError where there are patterns but no file."""
        patterns = (left_out,) if isinstance(left_out, str) else tuple(left_out or ())
        if file is None and patterns:
            raise ConfigError("--weights-except says what a file of weights leaves out; give --weights FILE too")
        return cls("" if file is None else os.path.abspath(file), "", patterns)

    def settled(self) -> StartWeights:
        """The same with the file's SHA-256; raises ConfigError if it is not known yet and the file cannot be read."""
        return self if self.sha256 or not self.file else replace(self, sha256=self._hash())

    def check(self) -> None:
        """Raise ConfigError if the file cannot be read, or is no longer the one it was."""
        if self.sha256 not in ("", self._hash()):
            raise ConfigError(f"the weights {self.file} have changed since the run was begun; put the file back as it was")

    def _hash(self) -> str:
        try:
            return sha256_file(Path(self.file))
        except OSError as error:
            raise ConfigError(f"the weights {self.file} cannot be read ({error.strerror}); give a file that exists") from error


class WeightsMisfitError(ConfigError):
    """Weights are not a network's.

    Args:
        message: one sentence.
        table: a line for each tensor that does not fit.
    """

    def __init__(self, message: str, table: tuple[str, ...]) -> None:
        super().__init__(message)
        self.table = table


def load_weights(network: BlockNetwork, weights: StartWeights) -> str:
    """Let a network begin with the weights of a file.

    Args:
        network: its tensors get the values. Names are those of the user's module that was cut, else those of the network
            ("blocks.0.NAME").
        weights: the file, which must have every name that is not left out, and no other.

    Returns:
        What was done, in a sentence.

    Raises:
        WeightsMisfitError: names or shapes differ.
        ConfigError: the file cannot be read, is no file of weights, or holds NaN, or numbers that are infinite in the network.
    """
    weights.check()
    given = read_weights(Path(weights.file))
    own = _best_named(network, given)
    left = {name for name in {*own, *given} if any(fnmatchcase(name, pattern) for pattern in weights.left_out)}
    unused = [pattern for pattern in weights.left_out if not any(fnmatchcase(name, pattern) for name in own)]
    if unused:
        raise ConfigError(f"the network has no weights {unused[0]!r} to leave out; its names are like {next(iter(own))!r}")
    wanted = {name: tensor for name, tensor in own.items() if name not in left}
    offered = {name: tensor for name, tensor in given.items() if name not in left}
    if table := tuple(_misfits(wanted, offered)):
        raise WeightsMisfitError(_sentence(weights.file, table), table)
    values = {name: offered[name].to(tensor.dtype) for name, tensor in wanted.items()}
    wrong = next((name for name, value in values.items() if not torch.isfinite(value).all()), None)
    if wrong is not None:
        kind = str(wanted[wrong].dtype).removeprefix("torch.")
        raise ConfigError(
            f"{wrong!r} of {weights.file} holds NaN, infinite numbers or some beyond {kind}; give weights of a healthy training"
        )
    with torch.no_grad():
        for name, tensor in wanted.items():
            tensor.copy_(values[name])
    kept = f"; {len(own) - len(wanted)} stay as they are drawn" if left else ""
    return f"begins with {len(wanted)} tensors of {weights.file}{kept}"


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name: safetensors, or what `torch.save` made of a state_dict; nothing in it is run.

    Args:
        path: of the file.

    Raises:
        ConfigError: it cannot be read, or is no file of weights.
    """
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        found = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise ConfigError(f"{path} is no safetensors file ({error}); give one, or a state_dict of torch.save") from error
    except Exception as error:  # what unpickling may raise is not said anywhere, and PyTorch advises to run what is in it
        raise ConfigError(f"{path} holds more than weights, or none; save model.state_dict() alone with torch.save") from error
    for entry in _NESTED:
        if isinstance(found, Mapping) and isinstance(found.get(entry), Mapping):
            found = found[entry]
            break
    if not isinstance(found, Mapping) or not found or not all(isinstance(value, Tensor) for value in found.values()):
        raise ConfigError(f"{path} holds a {type(found).__name__} that is no state_dict of tensors; save model.state_dict()")
    return {str(name): value for name, value in found.items()}


def _best_named(network: BlockNetwork, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The network's tensors under those of its names that the file rather has: the user's module's, or the network's own."""
    whole = {name: value.detach() for name, value in network.state_dict(keep_vars=True).items()}
    single: dict[str, Tensor] = {}
    for block in network.blocks:
        single |= {name: value.detach() for name, value in block.state_dict(keep_vars=True).items()}
    is_single = len(single) == len(whole) and len(given.keys() & single.keys()) >= len(given.keys() & whole.keys())
    return single if is_single else whole


def _misfits(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> Iterator[str]:
    width = max(map(len, [*own, *given]), default=0)
    for name, tensor in own.items():
        if name not in given:
            yield f"{name:<{width}}  missing     {_described(tensor)} in the network"
        elif given[name].shape != tensor.shape:
            yield f"{name:<{width}}  shape       {_described(tensor)} in the network, {_described(given[name])} in the file"
        elif given[name].is_floating_point() != tensor.is_floating_point():
            yield f"{name:<{width}}  dtype       {_described(tensor)} in the network, {_described(given[name])} in the file"
    for name, tensor in given.items():
        if name not in own:
            yield f"{name:<{width}}  unexpected  {_described(tensor)} in the file"


def _described(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"


def _sentence(file: str, table: tuple[str, ...]) -> str:
    kinds = [row.split()[1] for row in table]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    names = ", ".join(row.split()[0] for row in table[:_SHOWN]) + (", ..." if len(table) > _SHOWN else "")
    return (
        f"the weights {file} are not this network's: {counts} ({names}); give the weights of this very network, or say what "
        "shall stay as it is drawn, e.g. --weights-except 'head.*'"
    )
