"""A data set on the run's device: the samples that `edgebll.data` gives, to the bit, gathered where they are needed.

The samples lie on the device once, as they are in their files. What is drawn for a sample - its place in the order, its shift,
whether it is mirrored - is drawn by `edgebll.data`, the same for every device, and sent there once an epoch; cutting out,
mirroring and turning pixels into numbers are then look-ups, which round nothing.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgebll.data import AUGMENTATIONS, Dataset
from edgebll.data.augment import Augmentation, geometry, moved_labels
from edgebll.data.dataset import FLOAT32, Ints
from edgebll.learning.training.torch_device import TensorPlacement

#: What stands for the black border in `_sources`.
_BORDER = -1
#: Targets of more are made batch by batch.
_MOST_BYTES = 1 << 28


class DeviceData:
    """Samples and targets of a data set on a device.

    Args:
        dataset: it.
        placement: where its batches shall lie.
    """

    def __init__(self, dataset: Dataset, placement: TensorPlacement) -> None:
        self.dataset = dataset
        self.placement = placement
        # Rows that are gathered when they are asked for stay where they are: a batch is sent, never the whole.
        self._samples = self.sent(dataset.samples) if isinstance(dataset.samples, np.ndarray) else None
        self._targets = self._all_targets()
        if dataset.table is not None:
            self._numbers = self.sent(dataset.table).flatten()
            self._first = self.sent(np.arange(len(dataset.table), dtype=np.int32) * dataset.table.shape[1]).reshape(-1, 1, 1)

    def sent(self, array: Any) -> Tensor:
        """A numpy array on the device; on the processor the array itself, unless that may not be written to."""
        return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(self.placement.device)

    def inputs(self, indices: Tensor) -> Tensor:
        """`Dataset.inputs` of samples (B,): (B, *input_shape) of the data set's dtype."""
        samples, places = self._gathered(indices)
        return self._as_numbers(samples[places])

    def _all_targets(self) -> Tensor | None:
        """Targets of all samples, unless they are too many, still to come, or the samples themselves."""
        dataset = self.dataset
        if dataset.arriving:
            return None
        dtype, shape = dataset.task.target(dataset.outputs)
        if dataset.task.of_input or len(dataset) * math.prod(shape) * np.dtype(dtype).itemsize > _MOST_BYTES:
            return None
        return self.sent(dataset.targets(np.arange(len(dataset))))

    def targets(self, indices: Tensor, x: Tensor, labels: Any = None) -> Tensor:
        """`Dataset.targets` of samples: (B, *target_shape).

        Args:
            indices: of the samples (B,).
            x: the samples as the network gets them.
            labels: those of the samples, an array of numpy (B, ...), where they were moved with them; else None.
        """
        if self.dataset.task.of_input:
            return x.float()
        if labels is not None:
            return self.sent(self.dataset.targets(indices.cpu().numpy(), None, labels))
        if self._targets is not None:
            return self._targets[indices]
        return self.sent(self.dataset.targets(indices.cpu().numpy()))

    def side_inputs(self, indices: Tensor) -> dict[str, Tensor]:
        """`Dataset.side_inputs` of samples (B,), by name."""
        if not self.dataset.side:
            return {}
        return {name: self.sent(value) for name, value in self.dataset.side_inputs(indices.cpu().numpy()).items()}

    def crops(self, indices: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Images put together from pixels of others.

        Args:
            indices: (B,).
            rows: (B, H), the row of the image that each row of the result is from; below 0 it is black.
            columns: (B, W), the column of the image that each column of the result is from; below 0 it is black.
        """
        samples, indices = self._gathered(indices)
        _, channels, height, width = samples.shape
        rows, columns = rows[:, None, :, None], columns[:, None, None, :]
        channel = torch.arange(channels, device=indices.device).reshape(-1, 1, 1)
        places = (indices[:, None, None, None] * channels + channel) * (height * width)
        places = places + (rows.clamp(min=0) * width + columns.clamp(min=0))
        images = samples.flatten().index_select(0, places.flatten()).view(places.shape)
        return self._as_numbers(images * ((rows >= 0) & (columns >= 0)))

    def _gathered(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Samples as they are stored among which those of `indices` (B,) are, and at which places (B,)."""
        if self._samples is not None:
            return self._samples, indices
        return self.sent(self.dataset.samples[indices.cpu().numpy()]), torch.arange(len(indices), device=indices.device)

    def _as_numbers(self, samples: Tensor) -> Tensor:
        dataset = self.dataset
        if dataset.dtype == FLOAT32 and dataset.symbols:
            return torch.eye(dataset.symbols, device=samples.device)[samples]
        if dataset.dtype != FLOAT32 or dataset.table is None:
            return self.placement.laid_out(samples.to(getattr(torch, dataset.dtype)))
        places = self._first + samples
        return self.placement.laid_out(self._numbers.index_select(0, places.flatten()).view(places.shape))


class EpochBatches:
    """The training batches of one epoch of a run, as `edgebll.data.training_batch` gives them.

    Args:
        data: of the run.
        order: sample indices of every batch (num_batches, B).
        augment: one of AUGMENTATIONS.
        seed: of the run.
    """

    def __init__(self, data: DeviceData, order: Ints, augment: str, seed: int, epoch: int) -> None:
        self._data = data
        self._order = data.sent(order)
        self._augmented = augment != "none"
        self._drawn = augment, order, seed, epoch
        if self._augmented:
            rows, columns = _sources(AUGMENTATIONS[augment], order, data.dataset.input_shape, seed, epoch)
            self._rows, self._columns = data.sent(rows), data.sent(columns)

    def batch(self, index: int) -> tuple[Tensor, Tensor]:
        """Batch `index`: x (B, *input_shape) of the data set's dtype, and the targets y (B, *target_shape)."""
        indices = self._order[index]
        if not self._augmented:
            x = self._data.inputs(indices)
            return x, self._data.targets(indices, x)
        x = self._data.crops(indices, self._rows[index].long(), self._columns[index].long())
        return x, self._data.targets(indices, x, self._moved_labels(index))

    def _moved_labels(self, index: int) -> Any:
        """Labels that lie over the images of a batch, moved with them; None for others."""
        augment, order, seed, epoch = self._drawn
        augmentation = AUGMENTATIONS[augment]
        how = geometry(augmentation, order[index], seed, epoch)
        return moved_labels(self._data.dataset, augmentation, order[index], how)

    def side_inputs(self, index: int) -> dict[str, Tensor]:
        """What the samples of batch `index` have besides x, by name."""
        return self._data.side_inputs(self._order[index])


def _sources(augmentation: Augmentation, order: Ints, shape: tuple[int, ...], seed: int, epoch: int) -> tuple[Any, Any]:
    """Where the pixels of an epoch's images come from: rows (num_batches, B, H) and columns (num_batches, B, W), int16."""
    how = geometry(augmentation, order.ravel(), seed, epoch)
    height, width = shape[1:]
    rows = _border(augmentation, height)[how.rows[:, None] + np.arange(height)]
    places = np.where(how.flipped[:, None], np.arange(width)[::-1], np.arange(width))
    columns = _border(augmentation, width)[how.columns[:, None] + places]
    return rows.reshape(*order.shape, height), columns.reshape(*order.shape, width)


def _border(augmentation: Augmentation, length: int) -> Any:
    """Which pixel of a line of `length` each pixel of the line with its border is; _BORDER where it is black."""
    line, border = np.arange(length, dtype=np.int16), augmentation.padding
    if augmentation.reflect:
        return np.pad(line, border, mode="reflect")
    return np.pad(line, border, constant_values=_BORDER)
