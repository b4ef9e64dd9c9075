"""Forward passes of trained blocks with their weights inside: traced from the network, or taken from a bundle.

From the network is better: for any batch, and in the forms that are fast where weights are constants, which ONNX Runtime
then folds and packs itself. A bundle of a network whose code is not here has graphs for its own batch alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import ExportError
from edgebll.kernel.spec.manifest import BlockSpec
from edgebll.kernel.spec.side_inputs import read_by, side_inputs
from edgebll.kernel.state.block_state import State
from edgebll.learning.modules.pure_module import PureModule
from edgebll.learning.modules.user_code import in_block
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.networks.network_copy import with_constants
from edgebll.learning.step import NET
from edgebll.learning.step_tensors import zeros
from edgebll.learning.training.trained_network import TrainedNetwork
from edgebll_export.lowering.lower_trace import lower
from edgebll_export.targets import ONNX
from edgebll_export.tracing.trace import trace

#: Winograd's and other matrix forms pay off where weights come in; constant ones ONNX Runtime packs for its own convolution.
_TARGET = replace(ONNX, matrix_forms=False, batch_statistics=False, fast_masks=False, inference=True)


class TrainedBlock:
    """A block of a network with its trained weights, for evaluation alone.

    Args:
        block: the user's module; never changed.
        spec: its signature.
        weights: its tensors by names as the state's; what the module does not let change, it must hold itself.
    """

    def __init__(self, block: nn.Module, spec: BlockSpec, weights: State) -> None:
        with in_block(spec.name):
            self._net = PureModule(block, NET)
        self.spec = spec
        self.weights = {
            name: torch.from_numpy(weights[name].copy()) if name in weights else value
            for name, value in self._net.initial.items()
        }

    def __call__(self, tensors: Mapping[str, Tensor], x: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
        """X (B, ...), and side inputs by name, to a (B, ...) in float32, with the weights in `tensors`."""
        with torch.no_grad(), in_block(self.spec.name), self._net.on(tensors, train=False) as net:
            a: Tensor = net(x, *read_by(self.spec, inputs).values())
        return a.float()

    def graph(self, batch: int) -> onnx.ModelProto:
        """The evaluation pass x, side inputs -> a for a batch of `batch`, with the weights inside."""
        given = zeros(replace(t, shape=(batch, *t.shape[1:])) for t in (self.spec.input, *side_inputs(self.spec)))
        name = f"{self.spec.name}/forward"
        traced = trace(lambda v: {"a": self(v, v["x"], v)}, {**self.weights, **given}, [self._net.module], name)
        model, used = lower(traced, name, _TARGET)
        for data in given:
            if data not in used:
                raise ExportError(f"{name}: the result does not depend on {data}; nothing can be computed with it")
        return bound(model, {key: value.numpy() for key, value in self.weights.items()})


def trained_blocks(trained: TrainedNetwork, network: BlockNetwork) -> list[TrainedBlock]:
    """The blocks of a network with their trained weights, in order."""
    weights = {spec.name: trained.weights(spec.name) for spec in trained.blocks}
    kept = {name: {key: torch.from_numpy(value.copy()) for key, value in own.items()} for name, own in weights.items()}
    blocks = with_constants(network, kept, str(trained.path)).blocks
    return [TrainedBlock(block, spec, weights[spec.name]) for block, spec in zip(blocks, trained.blocks, strict=True)]


def bundled_graphs(bundle: Bundle) -> list[onnx.ModelProto]:
    """The forward graphs of a bundle with its states inside, for its own batch size."""
    names = [block.name for block in bundle.manifest.blocks]
    return [bound(onnx.load_from_string(bundle.graph(name, "forward")), bundle.state(name)) for name in names]


def bound(model: onnx.ModelProto, weights: State) -> onnx.ModelProto:
    """The model with constants in place of those inputs that `weights` has."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.input[:]
    for given in model.graph.input:
        if given.name in weights:
            result.graph.initializer.append(numpy_helper.from_array(weights[given.name], given.name))
        else:
            result.graph.input.append(given)
    return result
