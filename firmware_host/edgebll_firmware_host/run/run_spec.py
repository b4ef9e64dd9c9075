"""What a run over a bundle is told: the options of `edgebll simulate` and `run`, of their Python functions, and of run.json.

A spec is plain: `to_plain` gives what run.json says, and `from_plain` reads it back. What it leaves to the bundle (None) is
filled in by `settled`, so that run.json says it and a resumed run does not ask again.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, TypeVar

from edgebll.data.registry import recorded_options
from edgebll.data.sampling import UNIFORM, settled_sampling
from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import BundleError, ConfigError
from edgebll.kernel.runs.run_lock import KEPT_SNAPSHOTS
from edgebll.kernel.spec.emulated_boards import DEFAULT_EMULATED, EMULATED
from edgebll.kernel.spec.lr_schedule import Schedule
from edgebll.kernel.spec.runtime_names import check_runtime
from edgebll.kernel.support import bounds
from edgebll.kernel.support.plain_dataclasses import PlainError, from_plain, short

#: Seconds between snapshots unless told otherwise.
SNAPSHOT_SECONDS = 30.0
DEFAULT_WINDOW = 8

Spec = TypeVar("Spec", bound="RunSpec")


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """What all runs over a bundle are told.

    Attributes:
        bundle: path of the bundle.
        data: name of the data set, or the path of own data; None takes the bundle's.
        data_options: how own data are prepared, see `edgebll.data.own.data_options`; None takes the bundle's.
        data_dir: folder with the data set's files; None looks where they usually are.
        epochs: passes over the training data, at least 0, which only evaluates.
        lr: peak learning rate; None takes the bundle's.
        schedule: "constant", "cosine" or "step"; None takes the bundle's.
        warmup_steps: steps of linear warm-up; None takes the bundle's.
        seed: decides the order of samples.
        limit: at most so many training samples; None takes all.
        augment: "none", "standard" or "reflect"; None takes the bundle's.
        sampling: "uniform", "balanced" or own weights, see `edgebll.data.sampling`; None takes the bundle's.
        window: batches in flight, at least 1; None takes 8, or the inventory's.
        snapshot_every: training steps between snapshots; 0 takes none by the step.
        snapshot_seconds: seconds between snapshots; 0 takes none by the clock.
        keep_snapshots: how many of the newest snapshots stay on the disk, at least 1.
        measure: whether blocks are placed by the time their steps take on this machine, not by an estimate.

    Raises:
        ConfigError: a number is out of its bounds.
    """

    kind: ClassVar[str] = ""

    bundle: str = ""
    data: str | None = None
    data_options: dict[str, Any] | None = None
    data_dir: str | None = None
    epochs: int = 1
    lr: float | None = None
    schedule: str | None = None
    warmup_steps: int | None = None
    seed: int = 0
    limit: int | None = None
    augment: str | None = None
    sampling: str | None = None
    window: int | None = None
    snapshot_every: int = 0
    snapshot_seconds: float = SNAPSHOT_SECONDS
    keep_snapshots: int = KEPT_SNAPSHOTS
    measure: bool = False

    def __post_init__(self) -> None:
        bounds.NOT_NEGATIVE.check("epochs", self.epochs)
        bounds.NOT_NEGATIVE.check("snapshot_every", self.snapshot_every)
        bounds.SEED.check("seed", self.seed)
        bounds.SNAPSHOT_SECONDS.check("snapshot_seconds", self.snapshot_seconds)
        bounds.KEEP_SNAPSHOTS.check("keep_snapshots", self.keep_snapshots)
        if self.window is not None:
            bounds.WINDOW.check("window", self.window)
        if self.limit is not None:
            bounds.COUNT.check("limit", self.limit)

    def given(self) -> list[str]:
        """Names of the fields that are not at their defaults."""
        return [field.name for field in fields(self) if getattr(self, field.name) != field.default]


@dataclass(frozen=True, kw_only=True)
class SimulateSpec(RunSpec):
    """A run over agents that are started on this machine and end with it.

    Attributes:
        boards: agents to start; 0 runs all blocks one after another in this process.
        microcontrollers: how many of them, the first ones, have their blocks on an emulated microcontroller.
        emulate: what that is, a board of `edgebll firmware boards`.
        threads: of each board's training step, at least 1.
        cap_threads: whether a board uses no more threads than it has processors.
        memory_check: whether a run is refused where its blocks need more memory than there is.
        runtime: what computes, e.g. "onnxruntime".
        deadline: seconds of silence after which a board counts as lost, at least 1.
        patience: seconds without progress after which recovering is given up; 0 gives up at the first failure.
    """

    kind: ClassVar[str] = "simulate"

    boards: int = 4
    microcontrollers: int = 0
    emulate: str = DEFAULT_EMULATED
    threads: int = 1
    cap_threads: bool = True
    memory_check: bool = True
    runtime: str = "onnxruntime"
    deadline: float = 10.0
    patience: float = 300.0

    def __post_init__(self) -> None:
        super().__post_init__()
        bounds.LOCAL_BOARDS.check("boards", self.boards)
        bounds.THREADS.check("threads", self.threads)
        bounds.DEADLINE.check("deadline", self.deadline)
        bounds.PATIENCE.check("patience", self.patience)
        check_runtime(self.runtime)
        if not 0 <= self.microcontrollers <= self.boards:
            problem = f"must be 0 to {self.boards}, the number of boards, not {self.microcontrollers}"
            raise bounds.WrongValue("microcontrollers", problem)
        if self.emulate not in EMULATED:
            raise bounds.WrongValue("emulate", f"must be one of {', '.join(EMULATED)}, not {short(self.emulate)}")


@dataclass(frozen=True, kw_only=True)
class ClusterSpec(RunSpec):
    """A run over the boards of an inventory, on each of which an agent is running.

    Attributes:
        cluster: path of the inventory, cluster.toml.
    """

    kind: ClassVar[str] = "run"

    cluster: str = ""


SPECS: dict[str, type[RunSpec]] = {spec.kind: spec for spec in (SimulateSpec, ClusterSpec)}


def settled(spec: Spec, bundle: Bundle) -> Spec:
    """The spec with all that it leaves to the bundle.

    Raises:
        ConfigError: nobody says which data set it is, or the rate or schedule is none. BundleError: the recipe is damaged.
        DataError: there are no own data at the path given.
    """
    data = spec.data or bundle.manifest.recipe.get("data")
    if not isinstance(data, str):
        raise ConfigError(f"{bundle.path} does not say which data set it is for; give one with --data")
    augment = spec.augment or bundle.manifest.recipe.get("augment", "none")
    if not isinstance(augment, str):
        raise BundleError(f"{bundle.path}: the recipe's augment must be a text, not {augment!r}; export the bundle again")
    sampling = spec.sampling or bundle.manifest.recipe.get("sampling", UNIFORM)
    if not isinstance(sampling, str):
        raise BundleError(f"{bundle.path}: the recipe's sampling must be a text, not {sampling!r}; export the bundle again")
    schedule = schedule_of(spec, bundle)
    return replace(
        spec,
        bundle=str(bundle.path.absolute()),
        data=data,
        data_options=recorded_options(spec.data, _table(bundle.manifest.recipe.get("data_options")), spec.data_options),
        augment=augment,
        sampling=settled_sampling(sampling),
        lr=schedule.lr,
        schedule=schedule.kind,
        warmup_steps=schedule.warmup_steps,
    )


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def schedule_of(spec: RunSpec, bundle: Bundle) -> Schedule:
    """The schedule of the bundle's recipe, changed by what the spec says.

    Raises:
        ConfigError: the rate or schedule is none. BundleError: the recipe is damaged.
    """
    recipe = bundle.manifest.recipe
    recorded = {field.name: recipe[field.name] for field in fields(Schedule) if field.name in recipe}
    try:
        schedule = from_plain(Schedule, {"lr": 0.05, **recorded}, f"{bundle.path}: recipe")
    except (PlainError, ConfigError) as error:
        raise BundleError(f"{error}; export the bundle again") from error
    return replace(
        schedule,
        lr=schedule.lr if spec.lr is None else spec.lr,
        kind=schedule.kind if spec.schedule is None else spec.schedule,
        warmup_steps=schedule.warmup_steps if spec.warmup_steps is None else spec.warmup_steps,
    )
