"""What a spiking network takes for a sample, for the summary of the run that trained it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch

from edgebll.data import Dataset
from edgebll.data.run_operations import SAMPLES, not_counted
from edgebll.kernel.runs.listener import Listener
from edgebll.learning.operations.network_operations import network_operations
from edgebll.learning.training.config import TrainConfig
from edgebll.learning.training.module_state import module_state
from edgebll.learning.training.torch_device import CPU, torch_settings
from edgebll.learning.training.trained_model import Model
from edgebll.learning.training.trained_network import network_of_run
from edgebll.learning.training.trained_run import TrainedRun


def operations_in_summary(
    run: Path, config: TrainConfig, model: Model, test: Dataset, listener: Listener
) -> dict[str, dict[str, Any]]:
    """The entry "operations" of summary.json; nothing for networks without time, whose figures say little of a chip.

    Args:
        run: the run folder, with the checkpoint of the last evaluation.
        config: of the run.
        model: what was trained; it is not changed.
        test: what was evaluated on.
        listener: is told why the figures are missing, if they are.
    """
    if not model.network.time_steps:
        return {}
    trained = TrainedRun(run, config, {}, model.network, model.rule, model.optimizer, model.steps, model.plain)
    names = [step.name for step in model.steps]
    try:
        network = copy.deepcopy(model.plain)
        network.load_state_dict(module_state(network_of_run(trained, network), network), strict=True)
        with torch_settings(torch.device(CPU), config.threads, exact=True):
            return {"operations": network_operations(network, names, test, SAMPLES, config.batch_size)}
    except Exception as error:  # own modules may do anything, and a run is worth as much without the figures
        listener.noted(not_counted(error))
        return {}
