"""What a table of costs measures of a cell: the model, and samples for it, as a folder that measuring processes read.

A shipped network is measured for the samples it is known from, which need not be there; any other network, and any task that is
named, for those of the recipe's data.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgebll.data.registry import named_options
from edgebll.kernel.runs.listener import Listener
from edgebll.kernel.support.atomic_files import write_json
from edgebll.kernel.support.plain_dataclasses import from_plain, to_plain
from edgebll.learning.networks import NETWORKS, Inputs, make_architecture
from edgebll.learning.training.config import RunRecord, TrainConfig
from edgebll.learning.training.evaluate import check_fits
from edgebll.learning.training.trained_model import Model, build_model
from edgebll.learning.training.trainer import load_samples

_RECORD, _EXAMPLES = "record.json", "examples.npy"


@dataclass(frozen=True)
class MeasuredModel:
    """A model with the record it is made from.

    Attributes:
        record: says what it is.
        examples: a batch of samples (B, ...) as the network takes them; None for numbers from N(0, 1).
    """

    record: RunRecord
    examples: np.ndarray[Any, Any] | None = None

    @classmethod
    def of(cls, config: TrainConfig, data_dir: Path | None) -> MeasuredModel:
        """What a cell's config means.

        Args:
            config: of the cell.
            data_dir: folder with the data sets' files; None where they usually are.

        Raises:
            ConfigError: the network cannot be made, or does not fit its samples. DataError: the data set is missing.
        """
        if config.network in NETWORKS and config.task is None:
            shape, classes = make_architecture(config.network, config.network_options).example
            return cls(RunRecord(config, classes, shape))
        config = replace(config, data_options=named_options(config.data, config.data_options))
        train = load_samples(config, data_dir, Listener()).train
        known = (train.num_classes, train.input_shape, train.outputs)
        record = RunRecord(config.for_task(train.task), *known, side_inputs=train.side_specs)
        model = build_model(record)
        check_fits(model.steps, train, "choose another network or data set")
        count = min(config.batch_size, len(train))
        indices = np.resize(np.arange(count), config.batch_size)
        return cls(record, train.as_dtype(model.steps[0].spec.input.dtype).inputs(indices))

    def write(self, folder: Path) -> None:
        """Write it into a folder, for `read`."""
        write_json(folder / _RECORD, to_plain(self.record))
        if self.examples is not None:
            np.save(folder / _EXAMPLES, self.examples, allow_pickle=False)

    @classmethod
    def read(cls, folder: Path) -> MeasuredModel:
        """What `write` wrote."""
        path = folder / _EXAMPLES
        record = from_plain(RunRecord, json.loads((folder / _RECORD).read_bytes()), _RECORD)
        return cls(record, np.load(path, allow_pickle=False) if path.exists() else None)

    def build(self) -> tuple[Model, Inputs]:
        """The model, and what its first block takes."""
        model = build_model(self.record)
        return model, model.network.inputs.with_examples(self.examples)
