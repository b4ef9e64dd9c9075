"""A torch module as a pure function of named tensors: what a block and its auxiliary network both are to the training step."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import get_proxy_mode

from edgebll.learning.modules.constant_tensors import constant_tensors
from edgebll.learning.modules.forward_memory import check_memory, is_memory_left
from edgebll.learning.modules.module_checks import check_module, frozen_layers
from edgebll.learning.modules.module_locks import ModuleLock
from edgebll.learning.modules.module_record import ModuleRecord
from edgebll.learning.modules.module_slots import Slot, Substitution, other_names, tensor_slots
from edgebll.learning.modules.seeded_layers import Place, stand_ins, standing_in

#: Calls of a mode after which a module is trusted to change no attributes: watching costs a few microseconds a layer.
_WATCHED = 2
Hook = Callable[[Tensor], Tensor | None]


class PureModule:
    """A module whose parameters and buffers are state tensors; the module itself is never changed.

    Each layer trains in the mode it is in now: a batch norm that was put into evaluation mode stays frozen. Gradient hooks of
    parameters run. Dropout layers are stood in for by seeded ones, whose generators are drawn from PyTorch's. What is frozen is
    no state: the module's calls read a copy of it as it is now.

    Args:
        module: its current tensors are the initial state.
        prefix: of the state tensors' names, e.g. "net.".

    Attributes:
        initial: the state before the first step.
        trained: names of the parameters that gradients change.
        own: name -> the module's own parameter, of those.
        aliases: further names of `initial`'s tensors, as a layer by two paths or tied weights have -> the first.
        generators: name of a state tensor -> the seeded dropout that has it.
        lock: of the module: whoever puts other tensors or layers into it holds it.
        notes: sentences on what is not as a plain training loop would have it.

    Raises:
        ConfigError: a layer is scripted, or a parameter has a hook that no step can run.
    """

    def __init__(self, module: nn.Module, prefix: str) -> None:
        check_module(module)
        seeded_layers = stand_ins(module)
        self.lock = ModuleLock(module)
        self.module = next((one.layer for one in seeded_layers if one.own is module), module)
        self.prefix = prefix
        self.modes = {layer: layer.training for layer in module.modules()}
        self.places: list[Place] = [(holder, key, one.layer) for one in seeded_layers for holder, key in one.places]
        fixed, tensors = constant_tensors(module), _tensors(module)
        self._fixed = {name: value.detach().clone() for name, value in tensors.items() if name in fixed}
        tensors = {name: value for name, value in tensors.items() if name not in fixed}
        tensors |= {_joined(one.path, "words"): one.dropout.words for one in seeded_layers}
        self.initial = {prefix + name: value.detach().clone() for name, value in tensors.items()}
        self.own = {prefix + name: value for name, value in module.named_parameters() if value.requires_grad}
        self.trained, others = tuple(self.own), other_names(module)
        self.aliases = {prefix + other: prefix + name for other, name in others.items() if name in tensors}
        self._fixed |= {other: self._fixed[name] for other, name in others.items() if name in self._fixed}
        self.slots = tensor_slots(module)
        for one in seeded_layers:
            self.slots.append(Slot(one.dropout._buffers, "words", _joined(one.path, "words")))
        self.buffer_names = [name.removeprefix(prefix) for name in self.initial if name not in self.own]
        known = {*tensors, *self._fixed}
        self.counters = {n: (b.shape, b.dtype) for n, b in module.named_buffers() if n not in known}
        self.generators = {prefix + _joined(one.path, "words"): one.dropout for one in seeded_layers}
        self.notes = (*frozen_layers(module), *(one.note for one in seeded_layers))
        self._calls = {True: 0, False: 0}
        self._leaves_something = False
        self._overwrites = False

    @property
    def constants(self) -> dict[str, Tensor]:
        """What no step changes, under all of its names, see `edgebll.learning.modules.constant_tensors`."""
        return {self.prefix + name: value for name, value in self._fixed.items()}

    def place(self, put: Callable[[Tensor], Tensor]) -> None:
        """Put the constants where `put` puts a tensor: on the device of the state."""
        self._fixed = {name: put(value) for name, value in self._fixed.items()}

    def on(self, state: Mapping[str, Tensor], *, train: bool) -> PureCall:
        """The function of the module's inputs that `state`, which has at least the names of `initial`, makes of it."""
        tensors = {name.removeprefix(self.prefix): state[name] for name in self.initial}
        return PureCall(self, {**self._fixed, **tensors}, train)

    def with_aliases(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The state with every name of each tensor, as the module's state_dict has them; the first name's value counts."""
        return {**state, **{other: state[name] for other, name in self.aliases.items()}}

    def hooks(self, name: str) -> list[Hook]:
        """What the user registered to be done to the gradient of a parameter, in order."""
        return list((self.own[name]._backward_hooks or {}).values())

    def is_watched(self, train: bool) -> bool:
        """Whether the next call in a mode is looked at for attributes that it changes; counts the calls."""
        if is_memory_left():
            return False
        self._calls[train] += 1
        return self._leaves_something or self._calls[train] <= _WATCHED or get_proxy_mode() is not None

    def given(self, inputs: tuple[Tensor, ...], *, watched: bool) -> tuple[Tensor, ...]:
        """What to call the module with: copies where it writes into its inputs, as a first in-place ReLU does."""
        return tuple(value.clone() for value in inputs) if watched or self._overwrites else inputs

    def came_back(self, copies: tuple[Tensor, ...]) -> None:
        """Look at the copies after a watched call: a module that wrote into them gets copies from then on."""
        self._overwrites |= any(not value.is_inference() and value._version > 0 for value in copies)

    def put_back(self, record: ModuleRecord) -> None:
        """Undo what a call left in attributes; a module that leaves something is watched from then on."""
        self._leaves_something |= bool(record.changes())
        record.restore()


class PureCall:
    """A module on given tensors, from `with` on: call it with the module's inputs, then read `buffers`.

    Gradients must be taken inside: what is computed anew in the backward pass reads the module's tensors again.
    """

    def __init__(self, owner: PureModule, tensors: dict[str, Tensor], train: bool) -> None:
        self._owner = owner
        self._tensors = tensors
        self._train = train
        self._stack = contextlib.ExitStack()
        self._kept: dict[str, Tensor] = {}
        self._record: ModuleRecord | None = None

    def __enter__(self) -> PureCall:
        owner = self._owner
        self._stack.enter_context(owner.lock.held())
        try:
            self._open(owner)
        except BaseException:
            self._stack.close()
            raise
        return self

    def _open(self, owner: PureModule) -> None:
        device = next((value.device for value in self._tensors.values()), None)
        counters = {n: torch.zeros(shape, dtype=dtype, device=device) for n, (shape, dtype) in owner.counters.items()}
        self._inside = Substitution(owner.slots, {**self._tensors, **self._fresh(), **counters})
        self._stack.callback(self._inside.undo)
        self._stack.enter_context(standing_in(owner.places))
        self._stack.enter_context(_in_modes(owner, self._train))
        if owner.is_watched(self._train):
            self._record = ModuleRecord(owner.module)
            self._stack.callback(owner.put_back, self._record)

    def __exit__(self, *_: object) -> None:
        with self._stack:
            self._kept = self._current()

    def __call__(self, *inputs: Tensor) -> Any:
        """What the module returns; in training mode each call also moves the buffers that it would."""
        before = {name: value.clone() for name, value in self._current().items()} if self._record else {}
        given = self._owner.given(inputs, watched=self._record is not None)
        result = self._owner.module(*given)
        if self._record is not None:
            self._owner.came_back(given)
        if self._record is not None and self._train and get_proxy_mode() is None:
            self._check_memory(self._record, before, inputs)
        return result

    @property
    def buffers(self) -> dict[str, Tensor]:
        """State tensors that are buffers, as the calls so far left them."""
        now = self._kept or self._current()
        return {self._owner.prefix + name: value.detach() for name, value in now.items()}

    def _fresh(self) -> dict[str, Tensor]:
        # Batch norm and the like write into their buffers: give them copies, to be read back.
        return {name: self._tensors[name].clone() for name in self._owner.buffer_names}

    def _current(self) -> dict[str, Tensor]:
        now = self._inside.current()
        return {name: now[name] for name in self._owner.buffer_names}

    def _check_memory(self, record: ModuleRecord, before: dict[str, Tensor], inputs: tuple[Tensor, ...]) -> None:
        """Refuse a module that remembers in its attributes what its next call reads."""
        others = [value[:1].expand_as(value) for value in inputs]

        def again() -> Any:
            inside = Substitution(self._owner.slots, {name: value.clone() for name, value in before.items()})
            try:
                with torch.no_grad():
                    return self._owner.module(*others)
            finally:
                inside.undo()

        check_memory(record, again)


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


@contextlib.contextmanager
def _in_modes(owner: PureModule, train: bool) -> Iterator[None]:
    """Training: the modes that the layers had; evaluation: all in evaluation mode."""
    wanted = {layer: train and mode for layer, mode in owner.modes.items()}
    wanted |= {part: train for _, _, layer in owner.places for part in layer.modules()}
    wanted.setdefault(owner.module, train)
    before = [(layer, layer.training) for layer, mode in wanted.items() if layer.training != mode]
    for layer, mode in before:
        layer.training = not mode
    try:
        yield
    finally:
        for layer, mode in before:
            layer.training = mode


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and those buffers a step can change or read.

    num_batches_tracked only matters to a batch norm without momentum, which averages over all batches; elsewhere it is left
    out, so that graphs stay free of integer counters.
    """
    counters = {
        _joined(prefix, "num_batches_tracked")
        for prefix, child in module.named_modules()
        if getattr(child, "momentum", None) is not None
    }
    buffers = {name: value for name, value in module.named_buffers() if name not in counters}
    return {**dict(module.named_parameters()), **buffers}
