"""A trained network whatever trained it: a run of the trainer, a run over boards or a bundle, with its weights by block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.kernel.errors import BundleError, ConfigError
from edgebll.kernel.runs.trained_place import TrainedPlace, find_trained
from edgebll.kernel.spec.fine_tuning import FineTuning, tuning_in
from edgebll.kernel.spec.manifest import BlockSpec, Manifest
from edgebll.kernel.spec.side_inputs import of_a_sample
from edgebll.kernel.state.block_state import State, state_sha256
from edgebll.kernel.state.network_tensors import NET, network_tensors
from edgebll.kernel.support.plain_dataclasses import PlainError
from edgebll.kernel.tasks import CLASSIFICATION, Task, task_of_record
from edgebll.learning.networks import NETWORKS, BlockNetwork, rebuild_network
from edgebll.learning.training.trained_run import TrainedRun, load_run


@dataclass(frozen=True)
class TrainedNetwork:
    """Weights of a trained network and what belongs to them.

    Attributes:
        path: the run or bundle that was given.
        blocks: signatures, in stream order.
        states: block name -> its trained state.
        constants: block name -> what was frozen in it, by names as the state's.
        description: the network's name and options, as a manifest has them.
        rule: name of the learning rule.
        num_classes: of the task.
        data: name of the data set it was trained on, or the path of own data; None where nobody says it.
        data_options: how own data were prepared.
        precision: the numbers that its steps compute in.
        bundle: the opened bundle; None for a run of the trainer.
        network: the network before anything was frozen, with weights that are not the trained ones; None where its code is not
            known here.
        fine_tuning: which parts of it were trained.
        task: what it is for; None where its code is not here.
        without: why the network or the task that a bundle tells of cannot be made here; empty where it can, or tells of none.
    """

    path: Path
    blocks: tuple[BlockSpec, ...]
    states: Mapping[str, State]
    constants: Mapping[str, State]
    description: Mapping[str, object]
    rule: str
    num_classes: int
    data: str | None
    data_options: Mapping[str, object]
    precision: str
    bundle: Bundle | None
    network: BlockNetwork | None
    fine_tuning: FineTuning = field(default_factory=FineTuning)
    task: Task | None = CLASSIFICATION
    without: str = ""

    @property
    def name(self) -> str:
        """Of the network, e.g. "resnet8"."""
        return str(self.description.get("name"))

    def weights(self, block: str) -> State:
        """All tensors of a block, what was frozen and what was learnt, by names as the state's; adapters are merged."""
        state, constants = self.states[block], self.constants[block]
        own = network_tensors(state, constants, self.fine_tuning)
        others = {name: value for name, value in {**constants, **state}.items() if not name.startswith(NET)}
        return {**others, **{NET + name: value for name, value in own.items()}}

    @property
    def state_sha256(self) -> str:
        """Fingerprint of all states, as summaries have it."""
        return state_sha256(self.states)


def open_trained(path: Path | str, network: BlockNetwork | None = None) -> TrainedNetwork:
    """Open a run or a bundle for what was learnt.

    Args:
        path: a run folder of `train`, `simulate` or `run`, or a bundle.
        network: the network that was trained, where its code is in no file.

    Raises:
        BundleError: there is neither a run nor a bundle, it is not whole, or damaged.
        ConfigError: the network has not the blocks that were trained, or cannot be built again.
    """
    place = find_trained(Path(path))
    trained = _of_run(place, network) if place.bundle is None else _of_bundle(place, place.bundle, network)
    if trained.network is not None and len(trained.network.blocks) != len(trained.blocks):
        raise ConfigError(
            f"the network has {len(trained.network.blocks)} blocks, but {path} was trained with {len(trained.blocks)}; "
            "give the network that was trained, cut as it was"
        )
    return trained


def _of_run(place: TrainedPlace, network: BlockNetwork | None) -> TrainedNetwork:
    return network_of_run(load_run(place.path), network)


def network_of_run(run: TrainedRun, network: BlockNetwork | None = None) -> TrainedNetwork:
    """The network of a run of the trainer.

    Args:
        run: with its checkpoint.
        network: the network that was trained, where its code is in no file; by default the run's.

    Raises:
        BundleError: its states are missing or damaged.
    """
    return TrainedNetwork(
        path=run.path,
        blocks=tuple(step.spec for step in run.steps),
        states={name: {k: v.numpy() for k, v in state.items()} for name, state in run.states().items()},
        constants={step.name: {k: v.cpu().numpy() for k, v in run.constants(step.name).items()} for step in run.steps},
        description=run.network.description,
        rule=run.rule.name,
        num_classes=run.network.num_classes,
        data=run.data,
        data_options=run.data_options,
        precision=run.precision,
        bundle=None,
        network=network or run.plain,
        fine_tuning=run.config.fine_tuning,
        task=run.network.task,
    )


def _of_bundle(place: TrainedPlace, folder: Path, network: BlockNetwork | None) -> TrainedNetwork:
    bundle = open_bundle(folder)
    manifest = bundle.manifest
    task, without = _task_of(manifest, folder)
    if network is None and task is not None:
        network, without = _rebuilt(manifest, task, folder)
    data, options = place.data, place.data_options
    if data is None and isinstance(manifest.recipe.get("data"), str):
        data, options = manifest.recipe["data"], manifest.recipe.get("data_options", {})
    return TrainedNetwork(
        path=place.path,
        blocks=manifest.blocks,
        states={block.name: bundle.state(block.name) for block in manifest.blocks},
        constants={block.name: bundle.constants(block.name) for block in manifest.blocks},
        description=manifest.network,
        rule=str(manifest.rule.get("name")),
        num_classes=manifest.num_classes,
        data=data,
        data_options=options,
        precision=manifest.precision,
        bundle=bundle,
        network=network,
        fine_tuning=tuning_in(manifest.recipe, str(folder)),
        task=task if network is None else network.task,
        without=without if network is None else "",
    )


def _task_of(manifest: Manifest, folder: Path) -> tuple[Task | None, str]:
    """The task that a manifest tells of; or None, and why a user's own cannot be made here."""
    try:
        return task_of_record(manifest.task, str(folder)), ""
    except BundleError as error:
        if "code" not in manifest.task:
            raise
        return None, str(error)


def _rebuilt(manifest: Manifest, task: Task, folder: Path) -> tuple[BlockNetwork | None, str]:
    """The network that a manifest tells of; or None, and why it cannot be made here if it says whose it is."""
    if manifest.network.get("name") not in NETWORKS and "code" not in manifest.network:
        return None, ""
    try:
        outputs = manifest.blocks[-1].output.shape[1:]
        side = of_a_sample(manifest.blocks)
        return rebuild_network(manifest.network, manifest.num_classes, manifest.input_shape, task, outputs, side), ""
    except ConfigError as error:
        return None, str(error)
    except PlainError as error:
        raise BundleError(f"{folder}: {error}; export the bundle again") from error
    except KeyError as error:
        raise BundleError(f"{folder} does not say the network's {error}; export the bundle again") from error
