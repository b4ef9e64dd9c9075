"""What a training run is told, and how run.json says it. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import edgebll
from edgebll.errors import BundleError, ConfigError
from edgebll.plain import PlainError, from_plain, to_plain
from edgebll.runfolder import CONFIG
from edgebll.schedule import Schedule

#: run.json's "kind" for runs of the trainer, and the version of its layout.
KIND = "train"
RUN_VERSION = 1


@dataclass(frozen=True)
class TrainConfig:
    """All that decides a training run; the same config on the same machine gives the same weights, bit for bit.

    Attributes:
        data: data set. limit: at most so many training samples; None for all.
        network: a shipped network. blocks: into how many it is cut.
        rule, rule_options: learning rule and its options (text values are converted).
        epochs, batch_size, seed: of the run; the seed decides weights and batches.
        lr, schedule, warmup_steps: learning rate, see `edgebll.schedule.Schedule`.
        momentum, nesterov, weight_decay: see `edgebll.learning.SGD`.
        threads: of PyTorch. checkpoint_steps: a checkpoint every so many steps, besides one at the end of every epoch.

    Raises:
        ConfigError: a number is out of range.
    """

    data: str = "digits"
    network: str = "resnet8"
    blocks: int = 4
    rule: str = "bll"
    rule_options: dict[str, Any] = field(default_factory=dict)
    epochs: int = 2
    batch_size: int = 64
    seed: int = 0
    lr: float = 0.05
    schedule: str = "cosine"
    warmup_steps: int = 0
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    limit: int | None = None
    threads: int = 1
    checkpoint_steps: int = 500

    def __post_init__(self) -> None:
        for name in ("blocks", "epochs", "batch_size", "threads", "checkpoint_steps"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name.replace('_', ' ')} must be at least 1, not {getattr(self, name)}")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"the seed must lie in 0..{2**32 - 1}, but is {self.seed}")
        self.make_schedule()

    def make_schedule(self) -> Schedule:
        """The learning-rate schedule."""
        return Schedule(self.lr, self.schedule, self.warmup_steps)

    def to_run(self, num_classes: int, input_shape: tuple[int, ...]) -> dict[str, Any]:
        """What goes to run.json."""
        head = {"kind": KIND, "run_version": RUN_VERSION, "edgebll": edgebll.__version__}
        shapes = {"num_classes": num_classes, "input_shape": list(input_shape)}
        return {**head, **to_plain(self), **shapes}


@dataclass(frozen=True)
class RunRecord:
    """A training run's run.json: its config and the shapes of its data."""

    config: TrainConfig
    num_classes: int
    input_shape: tuple[int, ...]


def parse_run(document: Mapping[str, Any], path: Path) -> RunRecord:
    """Read the content of a training run's run.json.

    Raises:
        BundleError: another kind of run, another version, or damaged.
    """
    values, where = dict(document), path / CONFIG
    if values.pop("kind", None) != KIND:
        raise BundleError(f"{path} is not a run of `edgebll train`; give the folder of one")
    version = values.pop("run_version", None)
    if version != RUN_VERSION:
        raise BundleError(f"{where} has version {version!r}, this edgebll reads {RUN_VERSION}; use the release that wrote it")
    values.pop("edgebll", None)
    shapes = {name: values.pop(name, None) for name in ("num_classes", "input_shape")}
    try:
        return from_plain(RunRecord, {"config": values, **shapes}, str(where))
    except (PlainError, ConfigError) as error:
        raise BundleError(f"{error}; train again") from error
