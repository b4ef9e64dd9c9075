"""What a training run is told, and how run.json says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgebll.data import Dataset
from edgebll.data.registry import settled_name
from edgebll.data.sampling import UNIFORM, settled_sampling
from edgebll.kernel.errors import BundleError, ConfigError
from edgebll.kernel.own_code import CodeOrigin
from edgebll.kernel.own_code.code_copies import COPIES
from edgebll.kernel.own_code.registry import Registry
from edgebll.kernel.runs.run_lock import CONFIG
from edgebll.kernel.spec.fine_tuning import FineTuning
from edgebll.kernel.spec.last_batch import DROP, check_last_batch
from edgebll.kernel.spec.lr_schedule import Schedule
from edgebll.kernel.spec.manifest import TensorSpec
from edgebll.kernel.support import bounds
from edgebll.kernel.support.plain_dataclasses import PlainError, from_plain, to_plain
from edgebll.kernel.tasks import CLASSIFICATION, TASK_REGISTRY, Task
from edgebll.kernel.version import __version__
from edgebll.learning import OPTIMIZER_REGISTRY, RULE_REGISTRY, Optimizer, Rule
from edgebll.learning.networks import NETWORK_REGISTRY
from edgebll.learning.networks.network_registry import NetworkRegistry
from edgebll.learning.networks.pretrained_weights import StartWeights
from edgebll.learning.training.torch_device import DEVICES

#: run.json's "kind" for runs of the trainer, and the version of its layout.
KIND = "train"
RUN_VERSION = 2
#: Fields of `TrainConfig` that say where and how steps are computed: a run may go on elsewhere.
HOW = ("device", "compile", "channels_last")
#: Fields of version 1, which knew no optimiser but SGD.
_SGD_FIELDS = ("momentum", "nesterov", "weight_decay")


@dataclass(frozen=True)
class TrainConfig:
    """All that decides a training run.

    On the processor, not compiled, the same config on the same machine gives the same weights, bit for bit. On a GPU, or
    compiled, samples, order and learning rates are the same, but sums are rounded as the kernels of the day do.

    Attributes:
        data: name of the data set, or the path of own data.
        data_options: how own data are prepared, see `edgebll.data.own.data_options` (text values are converted).
        limit: at most so many training samples; None for all.
        augment: one of `edgebll.data.AUGMENTATIONS`.
        sampling: how training samples are drawn, see `edgebll.data.sampling`.
        last_batch: what becomes of an epoch's last samples, "drop" or "mask", see `edgebll.learning.masked_batches`.
        task: name of what is learnt, see `edgebll.kernel.tasks`; None for what the data set suggests.
        task_options: its options (text values are converted).
        network: name of a shipped network.
        network_options: its options (text values are converted).
        blocks: how many it is cut into; None where split tells.
        split: how it is cut, see `edgebll.learning.networks.unit_network.UnitNetwork.sizes`.
        rule: name of the learning rule.
        rule_options: its options (text values are converted).
        epochs: how often all training samples are seen.
        batch_size: samples of every training step.
        seed: decides the weights that blocks begin with, not those of auxiliary networks, and batches.
        optimizer: name of the optimiser.
        optimizer_options: its options besides lr (text values are converted).
        lr: peak learning rate; None is the optimiser's own default.
        schedule: how it goes over the run, see `edgebll.kernel.spec.lr_schedule.Schedule`.
        warmup_steps: training steps over which it rises to its peak; 0 for none.
        precision: numbers of the forward and backward pass, see `edgebll.learning.precision`.
        fine_tuning: which parts of the network are trained.
        weights: what the network begins with, where that is not drawn.
        threads: of PyTorch.
        checkpoint_steps: a checkpoint every so many steps, besides one after every evaluation.
        evaluate_epochs: an evaluation after every so many epochs, and after the last one.
        device: "cpu", "cuda" or "auto", which is a GPU where there is one.
        compile: whether steps are compiled.
        channels_last: whether maps lie with their channels side by side, see `edgebll.learning.training.torch_device`; None
            where that pays.
        code: "task", "network", "rule" or "optimizer" -> where it was found, for those of a user's own.

    Raises:
        ConfigError: a number is out of range, or the optimiser is unknown or refuses its options.
    """

    data: str = "digits"
    data_options: dict[str, Any] = field(default_factory=dict)
    network: str = "resnet8"
    network_options: dict[str, Any] = field(default_factory=dict)
    blocks: int | None = 4
    split: str = "even"
    rule: str = "bll"
    rule_options: dict[str, Any] = field(default_factory=dict)
    epochs: int = 2
    batch_size: int = 64
    seed: int = 0
    optimizer: str = "sgd"
    optimizer_options: dict[str, Any] = field(default_factory=dict)
    lr: float | None = None
    schedule: str = "cosine"
    warmup_steps: int = 0
    precision: str = "float32"
    limit: int | None = None
    augment: str = "none"
    threads: int = 1
    checkpoint_steps: int = 500
    evaluate_epochs: int = 1
    device: str = "cpu"
    compile: bool = False
    channels_last: bool | None = None
    code: dict[str, CodeOrigin] = field(default_factory=dict)
    fine_tuning: FineTuning = field(default_factory=FineTuning)
    weights: StartWeights = field(default_factory=StartWeights)
    sampling: str = UNIFORM
    last_batch: str = DROP
    task: str | None = None
    task_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("blocks", "epochs", "batch_size", "checkpoint_steps", "evaluate_epochs", "limit"):
            if getattr(self, name) is not None:
                bounds.COUNT.check(name.replace("_", " "), getattr(self, name))
        bounds.THREADS.check("threads", self.threads)
        if not bounds.is_whole(self.seed) or not 0 <= self.seed < 2**32:
            raise ConfigError(f"the seed must be a whole number in 0..{2**32 - 1}, but is {self.seed}")
        if self.device not in DEVICES:
            raise ConfigError(f"the device must be one of {', '.join(DEVICES)}, not {self.device!r}")
        check_last_batch(self.last_batch)
        self.make_schedule()

    def make_optimizer(self) -> Optimizer:
        """The optimiser with its peak learning rate."""
        if "lr" in self.optimizer_options:
            raise ConfigError("the learning rate is an option of the run, not of the optimizer; give lr")
        made = OPTIMIZER_REGISTRY.make(self.optimizer, self.optimizer_options, self.code.get("optimizer"))
        return made if self.lr is None else replace(made, lr=self.lr)

    def make_rule(self) -> Rule:
        """The learning rule."""
        return RULE_REGISTRY.make(self.rule, self.rule_options, self.code.get("rule"))

    def made_task(self) -> Task | None:
        """The task; None for what the data set suggests."""
        if self.task is not None:
            return TASK_REGISTRY.make(self.task, self.task_options, self.code.get("task"))
        if self.task_options:
            raise ConfigError("options of a task need its name; give --task")
        return None

    def make_schedule(self) -> Schedule:
        """The learning-rate schedule."""
        return Schedule(self.make_optimizer().lr, self.schedule, self.warmup_steps)

    def completed(self) -> TrainConfig:
        """The same config with every option of task, network, rule and optimiser written out, and where their code is."""
        registries: dict[str, Registry[Any] | NetworkRegistry] = {
            "network": NETWORK_REGISTRY,
            "rule": RULE_REGISTRY,
            "optimizer": OPTIMIZER_REGISTRY,
            **({} if self.task is None else {"task": TASK_REGISTRY}),
        }
        code: dict[str, CodeOrigin] = {}
        changes: dict[str, Any] = {}
        for what, registry in registries.items():
            name, options, recorded = getattr(self, what), getattr(self, f"{what}_options"), self.code.get(what)
            origin = recorded or registry.find(name).origin
            code |= {} if origin is None else {what: origin}
            changes[f"{what}_options"] = registry.all_options(name, options, recorded)
        own = {name: value for name, value in changes.pop("optimizer_options").items() if name not in ("name", "lr")}
        changes |= {"data": settled_name(self.data), "lr": self.make_optimizer().lr, "weights": self.weights.settled()}
        changes["sampling"] = settled_sampling(self.sampling)
        return replace(self, optimizer_options=own, code=code, **changes)

    def for_task(self, task: Task) -> TrainConfig:
        """The same config with the task that the data set suggested, where it names none."""
        return self if self.task is not None else replace(self, task=task.name, task_options=task.options())

    def to_run(self, data: Dataset, *, task_named: bool) -> dict[str, Any]:
        """What goes to run.json for a run on `data`; `task_named` if it was told the task, which data suggest otherwise."""
        head = {"kind": KIND, "run_version": RUN_VERSION, "edgebll": __version__}
        shapes = {"num_classes": data.num_classes, "input_shape": list(data.input_shape), "outputs": list(data.outputs)}
        side = {"side_inputs": to_plain(data.side_specs)} if data.side else {}
        return {**head, **to_plain(self), **shapes, **side, "data_source": data.source, "task_named": task_named}


@dataclass(frozen=True)
class _Code:
    code: dict[str, CodeOrigin]


@dataclass(frozen=True)
class RunRecord:
    """A training run's run.json: its config, and the shapes of its data and of what the network gives for it.

    Attributes:
        config: what it was told.
        num_classes: of its data.
        input_shape: of one sample.
        outputs: of one sample, what the network gives; None where the run knew classes alone.
        task_named: whether the task was told, not suggested by the data; None where the run does not say.
        side_inputs: what a sample has besides x, without the batch axis; run.json says it where there are some.
    """

    config: TrainConfig
    num_classes: int
    input_shape: tuple[int, ...]
    outputs: tuple[int, ...] | None = None
    task_named: bool | None = None
    side_inputs: tuple[TensorSpec, ...] = ()

    @property
    def task(self) -> Task:
        """What is learnt."""
        return self.config.made_task() or CLASSIFICATION


def parse_run(document: Mapping[str, Any], path: Path) -> RunRecord:
    """Read the content of a training run's run.json.

    Raises:
        BundleError: another kind of run, another version, or damaged.
    """
    values, where = dict(document), path / CONFIG
    if values.pop("kind", None) != KIND:
        raise BundleError(f"{path} is not a run of `edgebll train`; give the folder of one")
    version = values.pop("run_version", None)
    if version == 1:
        values["optimizer_options"] = {name: values.pop(name) for name in _SGD_FIELDS if name in values}
    elif version != RUN_VERSION:
        raise BundleError(f"{where} has version {version!r}, this edgebll reads {RUN_VERSION}; use the release that wrote it")
    for name in ("edgebll", "data_source"):
        values.pop(name, None)
    shapes = {name: values.pop(name, None) for name in ("num_classes", "input_shape", "outputs", "task_named")}
    shapes["side_inputs"] = values.pop("side_inputs", [])
    _check_code(values, path)
    try:
        return from_plain(RunRecord, {"config": values, **shapes}, str(where))
    except (PlainError, ConfigError) as error:
        raise BundleError(f"{error}; train again") from error


def _check_code(values: Mapping[str, Any], path: Path) -> None:
    """Before anything is made of it, so that what is refused names the run and the copies that it has."""
    try:
        found = from_plain(_Code, {"code": values.get("code", {})}, str(path / CONFIG))
    except PlainError as error:
        raise BundleError(f"{error}; train again") from error
    for what, origin in found.code.items():
        origin.check(f"the {what} {origin.short} of {path}", path / COPIES)
