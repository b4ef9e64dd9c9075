"""Opening a finished training run: what export and evaluation need of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgebll.data import Dataset
from edgebll.kernel.errors import BundleError, ConfigError
from edgebll.kernel.runs.run_folder import open_run
from edgebll.kernel.spec.lr_schedule import Schedule
from edgebll.kernel.state.network_tensors import NET, network_tensors
from edgebll.learning import BlockStep, Optimizer, Rule
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.training.checkpoint import INITIAL, States, load_checkpoint, load_states
from edgebll.learning.training.config import TrainConfig, parse_run
from edgebll.learning.training.device_data import DeviceData
from edgebll.learning.training.evaluate import Evaluation, evaluate
from edgebll.learning.training.torch_device import CPU, TensorPlacement, resolve_device, torch_settings
from edgebll.learning.training.trained_model import rebuild_model


@dataclass(frozen=True)
class TrainedRun:
    """A whole training run.

    Attributes:
        path: its folder.
        config: what it was told.
        summary: what came of it.
        network: as it was built, with the weights before training.
        rule: the rule it was trained with, options included.
        optimizer: the optimiser it was trained with, options included.
        steps: the step of each block, with its state before training.
        plain: the network before it is fine-tuned.
    """

    path: Path
    config: TrainConfig
    summary: dict[str, Any]
    network: BlockNetwork
    rule: Rule
    optimizer: Optimizer
    steps: list[BlockStep]
    plain: BlockNetwork

    @property
    def batch_size(self) -> int:
        """Samples of every training step."""
        return self.config.batch_size

    @property
    def precision(self) -> str:
        """Numbers the steps compute in."""
        return self.config.precision

    @property
    def data(self) -> str:
        """Name of the data set."""
        return self.config.data

    @property
    def data_options(self) -> dict[str, Any]:
        """How own data were prepared."""
        return self.config.data_options

    @property
    def augment(self) -> str:
        """Name of the augmentation."""
        return self.config.augment

    @property
    def schedule(self) -> Schedule:
        """The learning-rate schedule."""
        return self.config.make_schedule()

    def states(self, which: str = "trained") -> States:
        """Every block's state, "initial" or "trained".

        Raises:
            ConfigError: another word. BundleError: the files are missing or damaged.
        """
        specs = [step.spec for step in self.steps]
        if which == "initial":
            return load_states(self.path / INITIAL, specs)
        if which != "trained":
            raise ConfigError(f"the state must be 'trained' or 'initial', not {which!r}")
        found = load_checkpoint(self.path, specs)
        if found is None:
            raise BundleError(f"{self.path} has lost its checkpoint; train again")
        return found.states

    def plain_states(self, which: str = "trained") -> States:
        """Every block's state with what is frozen, by the names of the plain network, adapters merged into its weights.

        Args:
            which: "initial" or "trained".

        Raises:
            ConfigError: another word.
            BundleError: the files are missing or damaged.
        """
        found: States = {}
        for name, state in self.states(which).items():
            arrays, fixed = ({k: v.numpy() for k, v in t.items()} for t in (state, self.constants(name)))
            whole = network_tensors(arrays, fixed, self.config.fine_tuning)
            found[name] = {**state, **{NET + k: torch.from_numpy(np.array(v)) for k, v in whole.items()}}
        return found

    def constants(self, block: str) -> dict[str, Tensor]:
        """What is frozen in a block, by names as its state's."""
        return next((step.constants for step in self.steps if step.name == block), {})

    def evaluate(self, dataset: Dataset, device: str = CPU) -> Evaluation:
        """What the task counts of the trained network on `dataset`, computed on a device: "cpu", "cuda" or "auto".

        Raises:
            DataError: the data set does not fit the network. BundleError: the states are missing or damaged.
            ConfigError: there is no such device.
        """
        place = TensorPlacement.on(resolve_device(device), self.config.channels_last)
        states = {name: place.put_all(state) for name, state in self.states().items()}
        place.put_constants(self.steps)
        dataset = dataset.for_task(self.network.task).as_dtype(self.steps[0].spec.input.dtype)
        return evaluate(self.steps, states, DeviceData(dataset, place), self.batch_size)


def load_run(path: Path | str) -> TrainedRun:
    """Open a training run that finished.

    Raises:
        BundleError: missing, not whole, damaged, or not a run of the trainer.
    """
    folder = Path(path)
    config, summary = open_run(folder)
    record = parse_run(config, folder)
    model = rebuild_model(record, folder)
    return TrainedRun(folder, record.config, summary, model.network, model.rule, model.optimizer, model.steps, model.plain)


def evaluate_run(path: Path, dataset: Dataset, threads: int) -> dict[str, float]:
    """The task's metrics and loss of a finished training run on a data set, on the processor.

    Args:
        path: the run folder.
        dataset: what to evaluate on.
        threads: of PyTorch meanwhile.

    Raises:
        BundleError: the run is missing, not whole or damaged. DataError: the data set does not fit the network.
    """
    with torch_settings(torch.device(CPU), threads, exact=True):
        return load_run(path).evaluate(dataset).metrics
