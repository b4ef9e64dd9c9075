"""What `edgebll simulate` and `run` are told about the stream, and what the bundle says where they are not."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import BundleError, ConfigError
from edgebll.kernel.spec.lr_schedule import Schedule
from edgebll.kernel.support.plain_dataclasses import PlainError, from_plain

if TYPE_CHECKING:
    from edgebll.data import Dataset


@dataclass(frozen=True)
class StreamOptions:
    """What `simulate` and `run` have in common."""

    data: str | None
    epochs: int
    lr: float | None
    schedule: str | None
    warmup_steps: int | None
    seed: int
    limit: int | None
    snapshot_every: int
    data_dir: Path | None
    overwrite: bool
    augment: str | None
    snapshot_seconds: float
    keep_snapshots: int


@dataclass(frozen=True)
class DataSource:
    """Which data a run streams: the set's name, where it may lie, and how many training samples at most."""

    name: str
    folder: Path | None
    limit: int | None

    def load(self) -> tuple[Dataset, Dataset]:
        """Training and test data.

        Raises:
            ConfigError: there is no such data set. DataError: it is not here or damaged.
        """
        from edgebll.data import load_dataset

        return load_dataset(self.name, "train", self.folder, self.limit), load_dataset(self.name, "test", self.folder)


def data_source(bundle: Bundle, options: StreamOptions) -> DataSource:
    """The data that was given, or the data the bundle was trained on."""
    name = options.data or bundle.manifest.recipe.get("data")
    if not isinstance(name, str):
        raise ConfigError(f"{bundle.path} does not say which data set it is for; give one with --data")
    return DataSource(name, options.data_dir, options.limit)


def augmentation(bundle: Bundle, options: StreamOptions) -> str:
    """The augmentation that was given, or the one the bundle was trained with."""
    recorded = bundle.manifest.recipe.get("augment", "none")
    if not isinstance(recorded, str):
        raise BundleError(f"{bundle.path}: the recipe's augment must be a text, not {recorded!r}; export the bundle again")
    return options.augment or recorded


def schedule_of(bundle: Bundle, options: StreamOptions) -> Schedule:
    """The schedule of the bundle's recipe, changed by what was given."""
    recipe = bundle.manifest.recipe
    recorded = {field.name: recipe[field.name] for field in fields(Schedule) if field.name in recipe}
    try:
        schedule = from_plain(Schedule, {"lr": 0.05, **recorded}, f"{bundle.path}: recipe")
    except (PlainError, ConfigError) as error:
        raise BundleError(f"{error}; export the bundle again") from error
    if options.lr is not None:
        schedule = replace(schedule, lr=options.lr)
    if options.schedule is not None:
        schedule = replace(schedule, kind=options.schedule)
    return schedule if options.warmup_steps is None else replace(schedule, warmup_steps=options.warmup_steps)
