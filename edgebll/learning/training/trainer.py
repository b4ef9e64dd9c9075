"""Training a network in this process: into a new run folder, or on from a run's last checkpoint."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgebll.data import LoadedData, check_augmentation, load_data
from edgebll.data.batches import epoch_order
from edgebll.data.own.given_samples import keep_samples
from edgebll.data.own.live_reading import reading_sources
from edgebll.data.registry import is_own, named_options
from edgebll.kernel.errors import ConfigError, EdgebllError
from edgebll.kernel.own_code.code_copies import copy_code
from edgebll.kernel.runs.kept_data import check_outside, kept_name
from edgebll.kernel.runs.listener import Listener
from edgebll.kernel.runs.run_folder import RunFolder, open_run, read_config
from edgebll.learning.allocation import telling_of_memory
from edgebll.learning.idle_options import idle_options
from edgebll.learning.training.checkpoint import (
    INITIAL,
    Checkpoint,
    TrainingProgress,
    has_checkpoint,
    load_checkpoint,
    save_states,
)
from edgebll.learning.training.config import RunRecord, TrainConfig, parse_run
from edgebll.learning.training.evaluate import check_fits
from edgebll.learning.training.run_constants import save_constants
from edgebll.learning.training.torch_device import pays_channels_last, resolve_device, why_no_compiler
from edgebll.learning.training.trained_model import new_model, rebuild_model
from edgebll.learning.training.training_loop import TrainingLoop


@reading_sources()
def train(
    config: TrainConfig,
    out: Path | str,
    *,
    data_dir: Path | str | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
    samples: Path | None = None,
) -> dict[str, Any]:
    """Train a network into the run folder `out`; returns what its summary.json holds.

    Args:
        config: all options of the run.
        out: the run folder to make.
        data_dir: where the data set's files are.
        overwrite: replace a run that is already at `out`.
        listener: told how it goes.
        samples: the folder of the data, which goes into the run folder; None where they stay where they are.

    Raises:
        ConfigError: the config does not fit itself or the data. DataError: the data set is missing or damaged.
        StorageError: there is a run at `out`, or the disk refuses. EdgebllError: the loss is no longer a number.
    """
    config = _placed(config.completed())
    listener = listener or Listener()
    config = replace(config, data_options=named_options(config.data, config.data_options))
    loaded = load_samples(config, data_dir, listener)
    if samples is None:
        check_outside(loaded.name, Path(out))
    name = loaded.name if samples is None else kept_name(Path(out))
    data, task_named = loaded.splits, config.task is not None
    # Refuses a batch size the data cannot fill, and samples that cannot be drawn like this.
    with telling_of_memory(f"the order of batches of {config.batch_size}", "--batch-size"):
        epoch_order(data[0], config.batch_size, config.seed, 0, config.sampling, config.last_batch)
    config = replace(config, data=name, data_options=loaded.options).for_task(data[0].task)
    record = RunRecord(config, data[0].num_classes, data[0].input_shape, data[0].outputs, side_inputs=data[0].side_specs)
    model = new_model(record, listener)
    check_fits(model.steps, data[0], "choose another network or data set")
    if config.fine_tuning:
        listener.noted(model.savings())
    if idle := idle_options(model.rule, len(model.network.blocks)):
        listener.noted(idle)
    config = replace(config, blocks=len(model.network.blocks))
    with RunFolder.create(out, config.to_run(data[0], task_named=task_named), overwrite=overwrite) as folder:
        if samples is not None:
            keep_samples(samples, folder.path)
        states = {step.name: step.initial_state() for step in model.steps}
        save_states(folder.path / INITIAL, states)
        copy_code(config.code.values(), folder.path)
        save_constants(folder.path, model.steps)
        start = Checkpoint(states, TrainingProgress.none())
        return TrainingLoop(record, model, data, folder, listener).go(start)


@reading_sources()
def resume(
    out: Path | str,
    *,
    data_dir: Path | str | None = None,
    listener: Listener | None = None,
    how: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Go on with the unfinished run at `out`, from its last checkpoint; the result is that of an uninterrupted run.

    A run that is already whole is left as it is. Arguments, result and errors are those of `train`.

    Args:
        out: the run folder.
        data_dir: folder with the data set's files; by default found.
        listener: is told how it goes.
        how: fields of HOW that shall be other than the run was begun with, e.g. to go on without the GPU.

    Raises:
        BundleError: there is no training run at `out`, or its checkpoint is damaged.
    """
    path = Path(out)
    record = parse_run(read_config(path), path)
    with contextlib.suppress(EdgebllError):
        return open_run(path)[1]
    config, listener = _placed(replace(record.config, **(how or {})).for_task(record.task)), listener or Listener()
    record = replace(record, config=config)
    data = load_samples(record.config, data_dir, listener).splits
    is_new = not has_checkpoint(path)
    model = new_model(record, listener) if is_new else rebuild_model(record, path)
    check_fits(model.steps, data[0])
    start = load_checkpoint(path, [step.spec for step in model.steps])
    if start is None:
        start = Checkpoint({step.name: step.initial_state() for step in model.steps}, TrainingProgress.none())
    with RunFolder.resume(path, start.progress.metrics_bytes) as folder:
        if is_new:
            save_states(path / INITIAL, start.states)
            save_constants(path, model.steps)
        if folder.damage:
            listener.said(folder.damage)
        return TrainingLoop(record, model, data, folder, listener).go(start)


def _placed(config: TrainConfig) -> TrainConfig:
    """The config with the device and layout that are meant; raises ConfigError if it cannot be computed so."""
    config = replace(config, device=resolve_device(config.device))
    if config.channels_last is None:
        config = replace(config, channels_last=pays_channels_last(config.precision, config.device))
    lacks = why_no_compiler(config.device) if config.compile else ""
    if lacks:
        raise ConfigError(f"the steps cannot be compiled, for {lacks}; install it or do not compile")
    return config


def load_samples(config: TrainConfig, data_dir: Path | str | None, listener: Listener) -> LoadedData:
    """The samples of a config, for its task or what they suggest.

    Args:
        config: names them.
        data_dir: folder with a data set's files; None where they usually are.
        listener: is told of what takes long, and of files that cannot be read.

    Raises:
        ConfigError: they do not go with the config. DataError: they are missing or damaged.
    """
    task, options = config.made_task(), config.data_options
    blank = getattr(task, "ignore_index", None)
    if blank is not None and is_own(config.data):
        options = {"ignore_index": blank, **options}  # own labels are checked as they are read
    loaded = load_data(config.data, data_dir, config.limit, options, listener.said, config.sampling)
    task = task or loaded.train.task
    loaded = replace(loaded, train=loaded.train.for_task(task), test=loaded.test.for_task(task))
    check_augmentation(config.augment, loaded.train)
    return loaded
