"""Sketches of random modules, and the modules they stand for: what people do with modules, in any combination.

A sketch is plain data, so that hypothesis shrinks it and a found case can be written down as an example.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st
from torch import Tensor, nn

from support.odd_layers import Centred, Checkpointed, Gated, InPlace, Leaky, Masked, Peak, Residual, Stopped

#: Vectors (B, WIDTH), or maps (B, CHANNELS, SIDE, SIDE).
WIDTH, CHANNELS, SIDE = 5, 3, 4
VECTORS, MAPS = "vectors", "maps"
SHAPES = {VECTORS: (WIDTH,), MAPS: (CHANNELS, SIDE, SIDE)}
Factory = Callable[[], nn.Module]


@dataclass(frozen=True)
class Traits:
    """What is done to a module once it is made.

    Attributes:
        eval: put into evaluation mode.
        frozen: "all" of its parameters, its "first", or "".
        gradient: factor of a hook on its first trained parameter; 0 for none.
        hooks: of the module: "forward", "pre", "backward", "backward pre".
    """

    eval: bool = False
    frozen: str = ""
    gradient: float = 0.0
    hooks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layer:
    """One layer by its kind."""

    kind: str
    traits: Traits = Traits()


@dataclass(frozen=True)
class Again:
    """A module that was made before, the index-th of them: shared."""

    index: int


@dataclass(frozen=True)
class Around:
    """Steps in a row, and something around them: a key of AROUND."""

    how: str
    steps: tuple[Step, ...]
    traits: Traits = Traits()


Step = Layer | Again | Around


@dataclass(frozen=True)
class ModuleSketch:
    """A block: steps in a space, before a layer that is always trained."""

    space: str
    steps: tuple[Step, ...]


AROUND: dict[str, Callable[[nn.Module], nn.Module]] = {
    "sequence": lambda body: body,
    "residual": Residual,
    "residual in place": lambda body: Residual(body, in_place=True),
    "gated": Gated,
    "checkpoint": Checkpointed,
}
_BOTH: dict[str, Factory] = {
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "relu": nn.ReLU,
    "relu in place": lambda: nn.ReLU(inplace=True),
    "elu in place": lambda: nn.ELU(inplace=True),
    "softplus": nn.Softplus,
    "hardswish": nn.Hardswish,
    "prelu": nn.PReLU,
    "dropout in evaluation": lambda: nn.Dropout(0.5).eval(),
    "in place": InPlace,
    "stopped": Stopped,
    "centred": Centred,
}
LAYERS: dict[str, dict[str, Factory]] = {
    VECTORS: {
        "linear": lambda: nn.Linear(WIDTH, WIDTH),
        "batch norm": lambda: nn.BatchNorm1d(WIDTH),
        "batch norm without statistics": lambda: nn.BatchNorm1d(WIDTH, track_running_stats=False),
        "layer norm": lambda: nn.LayerNorm(WIDTH),
        "leaky": lambda: Leaky(WIDTH),
        "peak": lambda: Peak(WIDTH),
        "masked": lambda: Masked(WIDTH),
        **_BOTH,
    },
    MAPS: {
        "linear": lambda: nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
        "depthwise": lambda: nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=CHANNELS, bias=False),
        "batch norm": lambda: nn.BatchNorm2d(CHANNELS),
        "group norm": lambda: nn.GroupNorm(1, CHANNELS),
        "instance norm": lambda: nn.InstanceNorm2d(CHANNELS, affine=True, track_running_stats=True),
        "average": lambda: nn.AvgPool2d(3, 1, 1),
        "largest": lambda: nn.MaxPool2d(3, 1, 1),
        "leaky": lambda: Leaky(CHANNELS, SIDE, SIDE),
        "peak": lambda: Peak(CHANNELS, SIDE, SIDE),
        "masked": lambda: Masked(CHANNELS, SIDE, SIDE),
        **_BOTH,
    },
}


class ModuleBuilder:
    """Makes the modules of one sketch.

    Args:
        space: VECTORS or MAPS.
    """

    def __init__(self, space: str) -> None:
        self._layers = LAYERS[space]
        self._made: list[nn.Module] = []

    def make(self, step: Step) -> nn.Module:
        """The module of a step, which later steps may share."""
        if isinstance(step, Again):
            if not self._made:
                return self.make(Layer("linear"))
            return self._made[step.index % len(self._made)]
        if isinstance(step, Around):
            module = AROUND[step.how](nn.Sequential(*map(self.make, step.steps)))
        else:
            module = self._tied() if step.kind == "tied" else self._layers[step.kind]()
        _give(module, step.traits)
        self._made.append(module)
        return module

    def _tied(self) -> nn.Module:
        """A layer with the weight of the first one of its kind."""
        layer = self._layers["linear"]()
        first = next((one for one in self._made if type(one) is type(layer) and getattr(one, "groups", 1) == 1), None)
        if first is not None:
            assert isinstance(layer, (nn.Linear, nn.Conv2d))
            layer.weight = first.weight  # type: ignore[assignment]
        return layer


def built(sketch: ModuleSketch) -> nn.Module:
    """A new block of a sketch; the same weights under the same seed."""
    builder = ModuleBuilder(sketch.space)
    return nn.Sequential(*map(builder.make, sketch.steps), LAYERS[sketch.space]["linear"]())


def _give(module: nn.Module, traits: Traits) -> None:
    if traits.eval:
        module.eval()
    parameters = list(module.parameters())
    for parameter in {"all": parameters, "first": parameters[:1]}.get(traits.frozen, []):
        if parameter.is_leaf and not parameter._backward_hooks:  # PyTorch takes no hook off again
            parameter.requires_grad_(False)
    trained = next((one for one in parameters if one.requires_grad), None)
    if traits.gradient and trained is not None:
        trained.register_hook(_scaled(traits.gradient))
    for hook in traits.hooks:
        _HOOKS[hook](module)


def _scaled(factor: float) -> Callable[[Tensor], Tensor]:
    return lambda gradient: gradient * factor


def _halved(_module: nn.Module, given: tuple[Tensor | None, ...], _gradients: object) -> tuple[Tensor | None, ...]:
    """Half the gradient that goes further back; the network's input has none."""
    return tuple(None if one is None else one * 0.5 for one in given)


_HOOKS: dict[str, Callable[[nn.Module], object]] = {
    "forward": lambda module: module.register_forward_hook(lambda _m, _i, output: output * 1.25),
    "pre": lambda module: module.register_forward_pre_hook(lambda _m, inputs: (inputs[0] + 0.1,)),
    "backward": lambda module: module.register_full_backward_hook(_halved),
    "backward pre": lambda module: module.register_full_backward_pre_hook(lambda _m, gradients: (gradients[0] * 1.5,)),
}

TRAITS = st.one_of(
    st.just(Traits()),
    st.builds(
        Traits,
        eval=st.sampled_from([False, False, True]),
        frozen=st.sampled_from(["", "", "first", "all"]),
        gradient=st.sampled_from([0.0, 0.0, 0.5, -1.0]),
        hooks=st.lists(st.sampled_from(sorted(_HOOKS)), max_size=2, unique=True).map(tuple),
    ),
)


def steps(space: str) -> st.SearchStrategy[tuple[Step, ...]]:
    """One to five steps, with steps inside of them."""
    leaf = st.one_of(
        st.builds(Layer, st.sampled_from([*LAYERS[space], "linear", "linear", "tied"]), TRAITS),
        st.builds(Again, st.integers(0, 5)),
    )
    step: st.SearchStrategy[Step] = st.recursive(
        leaf,
        lambda inner: st.builds(
            Around, st.sampled_from(sorted(AROUND)), st.lists(inner, min_size=1, max_size=3).map(tuple), TRAITS
        ),
        max_leaves=4,
    )
    return _some(step, 5)


def _some(step: st.SearchStrategy[Step], most: int) -> st.SearchStrategy[tuple[Step, ...]]:
    return st.lists(step, min_size=1, max_size=most).map(tuple)


SKETCHES = st.sampled_from([VECTORS, MAPS]).flatmap(lambda space: st.builds(ModuleSketch, st.just(space), steps(space)))
