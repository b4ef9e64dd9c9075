"""A data set in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edgebll.kernel.errors import DataError
from edgebll.kernel.spec.manifest import TensorSpec
from edgebll.kernel.tasks import Classification, LabelSpec, Reconstruction, Regression, Segmentation, Task

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Samples = npt.NDArray[np.float32] | npt.NDArray[np.int64] | npt.NDArray[np.int32] | npt.NDArray[np.uint8]

#: int64 or float32 arrays, or None.
Labels = Any

FLOAT32 = "float32"
#: Whole numbers that samples may be given as, besides float32.
WHOLE = ("int64", "int32", "uint8")
#: Axes of labels of sequences; whole labels of more are masks.
_SEQUENCES = 2


@dataclass(frozen=True)
class Dataset:
    """Samples and their labels, and the task that makes targets of labels.

    Attributes:
        name: of the data set.
        samples: float32 (N, ...); or images as they are in their files: uint8 (N, C, H, W), a quarter of the memory; or tokens:
            int64 (N, ...).
        labels: int64 in [0, num_classes): (N,), or (N, T) where every position of a sequence has a class, or masks (N, H, W);
            float32 (N, ...): numbers, labels that are there (1) or not (0), or shares of classes; or None.
        num_classes: classes that whole labels count; 0 where labels are no classes.
        table: for uint8 samples, float32 (C, 256): the number each value of each channel stands for.
        source: where the samples come from, where that matters beside a figure, e.g. "made from JPEG".
        symbols: for int64 samples, how many different tokens there are; in float32 each is one-hot then. 0: it is the number.
        dtype: what a network gets its samples as, see `as_dtype`.
        task: what is learnt; None for what the labels suggest: classes, numbers, masks or, without labels, the samples.
        arriving: whether samples still come, or came, while a run goes on: its first pass takes them in their order.
        side: what samples have besides, by name: float32, int64, int32, uint8 or bool (N, ...), given to a network as they are.
        weights: float64 (N,), how likely each sample is drawn, where the run's sampling says it; see `edgebll.data.sampling`.

    Raises:
        DataError: the arrays do not fit each other, num_classes or the task.
    """

    name: str
    samples: Floats | Bytes | Ints
    labels: Labels
    num_classes: int = 0
    table: Floats | None = None
    source: str = ""
    symbols: int = 0
    dtype: str = FLOAT32
    task: Task = field(default=None)  # type: ignore[assignment]  # what __post_init__ finds
    arriving: bool = False
    weights: npt.NDArray[np.float64] | None = None
    side: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_samples()
        self._check_labels()
        for name, values in self.side.items():
            if len(values) != len(self.samples):
                raise DataError(f"{self.name} has {len(self.samples)} samples, but {len(values)} in {name}; give one for each")
        if self.task is None:
            object.__setattr__(self, "task", natural_task(self.labels))
        outputs = self.task.outputs(self.label_spec)
        if self.labels is not None and not self.task.of_input:
            # Labels that are still to come are checked as they come: each is one of the classes.
            known = np.arange(self.num_classes) if self.arriving else self.labels
            self.task.check_labels(known, self.name, self.num_classes)
        self.task.target(outputs)

    def _check_labels(self) -> None:
        count, labels = len(self.samples), self.labels
        if not count or (labels is not None and not labels.size):
            raise DataError(f"{self.name}: there is not one sample; give a data set with at least one")
        if labels is None:
            return
        if labels.dtype not in (np.int64, np.float32) or not labels.ndim or len(labels) != count:
            raise DataError(
                f"{self.name}: {count} samples need labels of int64 or float32 and shape ({count}, ...), "
                f"not {labels.dtype} {labels.shape}"
            )

    def _check_samples(self) -> None:
        samples, table = self.samples, self.table
        if table is None:
            fits = samples.dtype in (np.float32, np.int64) and samples.ndim >= 2
        else:
            fits = samples.dtype == np.uint8 and samples.ndim == 4
            fits = fits and table.dtype == np.float32 and table.shape == (samples.shape[1], 256)
        if not fits:
            raise DataError(
                f"{self.name}: samples must be float32 (N, ...), int64 (N, ...), or uint8 (N, C, H, W) with a table (C, 256), "
                f"not {samples.dtype} {samples.shape}"
            )
        if self.symbols and (samples.dtype != np.int64 or samples.min() < 0 or samples.max() >= self.symbols):
            raise DataError(f"{self.name}: samples of {self.symbols} symbols must be int64 in 0..{self.symbols - 1}")

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample as a network gets it, e.g. (C, H, W)."""
        shape = tuple(self.samples.shape[1:])
        return (*shape, self.symbols) if self.symbols and self.dtype == FLOAT32 else shape

    @property
    def label_spec(self) -> LabelSpec:
        """What a task is told of samples and labels."""
        labels = self.labels
        dtype, shape = ("", ()) if labels is None else (labels.dtype.name, tuple(labels.shape[1:]))
        return LabelSpec(self.name, self.input_shape, dtype, shape, self.num_classes)

    @property
    def outputs(self) -> tuple[int, ...]:
        """Shape of one sample of what a network must give, e.g. (num_classes,), or (T, num_classes)."""
        return self.task.outputs(self.label_spec)

    @property
    def target_shape(self) -> tuple[int, ...]:
        """Shape of one sample's target, for classification that of one-hot labels."""
        return self.task.target(self.outputs)[1]

    def for_task(self, task: Task) -> Dataset:
        """The same samples and labels for another task.

        Args:
            task: what is to be learnt.

        Raises:
            DataError: the labels are none for it.
        """
        return self if task == self.task else replace(self, task=task)

    def ready(self, indices: Ints) -> bool:
        """Whether the samples `indices` (B,) are there; where they are not, whoever takes them waits."""
        return not self.arriving or bool(self.samples.ready(indices))  # type: ignore[union-attr]  # rows that are gathered

    def as_dtype(self, dtype: str) -> Dataset:
        """The same samples for a network with inputs of another dtype.

        Args:
            dtype: "float32": pixels normalised, tokens one-hot. One of WHOLE: pixels and tokens as the numbers they are.

        Raises:
            DataError: the samples are no whole numbers, or too large ones for this dtype.
        """
        if dtype == self.dtype:
            return self
        if dtype not in (FLOAT32, *WHOLE) or (dtype in WHOLE and self.samples.dtype == np.float32):
            kinds = FLOAT32 if self.samples.dtype == np.float32 else ", ".join((FLOAT32, *WHOLE))
            raise DataError(f"samples of {self.name} come as {kinds}, not as {dtype} as the network takes them")
        if dtype in WHOLE:
            low, high = int(self.samples.min()), int(self.samples.max())
            if low < np.iinfo(dtype).min or high > np.iinfo(dtype).max:
                raise DataError(f"samples of {self.name} reach from {low} to {high}, which {dtype} cannot hold")
        return replace(self, dtype=dtype)

    def inputs(self, indices: Ints) -> Samples:
        """The samples `indices` (B,) as the network takes them: `dtype`, (B, *input_shape)."""
        return self.numbers(self.samples[indices])

    def numbers(self, samples: Samples) -> Samples:
        """Samples as they are stored (B, ...) as the numbers that the network takes."""
        if self.dtype != FLOAT32 or (self.table is None and not self.symbols):
            return np.asarray(samples, self.dtype)
        if self.table is None:
            return np.eye(self.symbols, dtype=np.float32)[samples]
        result = np.empty(samples.shape, np.float32)
        for channel, values in enumerate(self.table):
            result[:, channel] = values[samples[:, channel]]
        return result

    @property
    def side_specs(self) -> tuple[TensorSpec, ...]:
        """What a sample has besides x, without the batch axis."""
        return tuple(TensorSpec(name, str(values.dtype), tuple(values.shape[1:])) for name, values in self.side.items())

    def side_inputs(self, indices: Ints) -> dict[str, npt.NDArray[Any]]:
        """What the samples `indices` (B,) have besides x, by name."""
        return {name: np.asarray(values[indices]) for name, values in self.side.items()}

    def targets(self, indices: Ints, x: Samples | None = None, labels: Labels = None) -> Floats:
        """Targets of samples, as the task makes them of labels.

        Args:
            indices: of the samples (B,).
            x: the samples as the network gets them, where that is not `inputs(indices)`; for tasks whose target is the sample.
            labels: those of the samples (B, ...), where they were moved with them; None for those that the data set has.

        Returns:
            (B, *target_shape), for classification one-hot float32.
        """
        if self.task.of_input or self.labels is None:
            return np.asarray(self.inputs(indices) if x is None else x, np.float32)
        return np.asarray(self.task.targets(self.labels[indices] if labels is None else labels, self.num_classes))


def natural_task(labels: Labels, ignore_index: int | None = None) -> Task:
    """The task that labels suggest: classes, numbers, masks or, without labels, the samples.

    Args:
        labels: as `Dataset.labels`.
        ignore_index: of whole labels, the one that stands for none; None if each is a class.
    """
    if labels is None:
        return Reconstruction()
    if labels.dtype == np.float32:
        return Regression()
    kind = Classification if labels.ndim <= _SEQUENCES else Segmentation
    return kind(ignore_index=ignore_index)


def pixel_table(mean: tuple[float, ...], std: tuple[float, ...], largest: int = 255) -> Floats:
    """Dataset.table for pixels 0..largest: (pixel / largest - mean) / std by channel, computed in double precision."""
    values = np.arange(256) / float(largest)
    return np.stack([((values - m) / s).astype(np.float32) for m, s in zip(mean, std, strict=True)])
