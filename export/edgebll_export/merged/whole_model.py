"""The whole network as one model with its weights inside, for one batch size or for any."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from edgebll.kernel.errors import ConfigError, ExportError
from edgebll.learning.step import NET
from edgebll.learning.training.trained_network import TrainedNetwork
from edgebll_export.bundles.block_models import check_model
from edgebll_export.merged.any_batch import FIRST, SECOND, any_batch
from edgebll_export.merged.forward_graphs import TrainedBlock, bundled_graphs
from edgebll_export.merged.join import join

#: What the result of a task without classes is called.
_RESULT = "output"
#: A protobuf file holds 2 GiB, and a model beside its weights hardly more than this less.
MAX_WEIGHT_BYTES = (1 << 31) - (1 << 24)


def output_name(trained: TrainedNetwork) -> str:
    """What the merged model's result is called: "logits" of a task with classes."""
    return "logits" if trained.task is not None and trained.task.classes else _RESULT


def whole_model(trained: TrainedNetwork, blocks: Sequence[TrainedBlock], batch: int | None) -> onnx.ModelProto:
    """The joined forward passes of all blocks.

    Args:
        trained: the network.
        blocks: its modules with the trained weights; none where their code is not here, and a bundle's graphs are taken.
        batch: samples at once; None for any number.

    Raises:
        ExportError: a block cannot be turned into a graph, the network depends on the batch in a way that no size can be left
            open for, or it is too large for one file.
        ConfigError: another batch than the bundle's is asked for, and the network's code is not here.
    """
    _check_size(trained)
    model = _traced(trained, blocks, batch) if blocks else _joined(trained, _of_bundle(trained, batch))
    check_model(model)
    return model


def _traced(trained: TrainedNetwork, blocks: Sequence[TrainedBlock], batch: int | None) -> onnx.ModelProto:
    if batch is not None:
        return _joined(trained, [block.graph(batch) for block in blocks])
    return any_batch(*(_joined(trained, [block.graph(size) for block in blocks]) for size in (FIRST, SECOND)))


def _of_bundle(trained: TrainedNetwork, batch: int | None) -> list[onnx.ModelProto]:
    bundle = trained.bundle
    if bundle is None:  # a run of the trainer always knows its network
        raise AssertionError(f"{trained.path} has neither modules nor graphs")
    if batch != bundle.manifest.batch_size:
        wanted = "any batch size" if batch is None else f"a batch of {batch}"
        why = f" ({trained.without})" if trained.without else ""
        raise ConfigError(
            f"{trained.path} has graphs for a batch of {bundle.manifest.batch_size}, and the code of its network "
            f"{trained.name!r}, which {wanted} needs, is not known here{why}; give it from Python: "
            "edgebll.merge(..., network=...)"
        )
    return bundled_graphs(bundle)


def _joined(trained: TrainedNetwork, models: Sequence[onnx.ModelProto]) -> onnx.ModelProto:
    return join(models, [block.name for block in trained.blocks], output_name(trained), trained.name)


def _check_size(trained: TrainedNetwork) -> None:
    held = [*trained.states.values(), *trained.constants.values()]  # what is learnt, and what is frozen
    size = sum(value.nbytes for tensors in held for name, value in tensors.items() if name.startswith(NET))
    if size > MAX_WEIGHT_BYTES:
        raise ExportError(
            f"the weights of {trained.path} take {size / (1 << 30):.1f} GiB, and one ONNX file holds 2; deploy the blocks of a "
            "bundle instead"
        )
