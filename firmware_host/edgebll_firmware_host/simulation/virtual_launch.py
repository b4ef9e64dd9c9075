"""A run in virtual time from its spec: the bundle, its boards, what is streamed and what happens to them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.execution.step_timing import step_seconds
from edgebll.kernel.support import bounds
from edgebll_firmware_host.engines.engine_choice import InProcess
from edgebll_firmware_host.inventory import BoardEntry, Cluster, HostEntry, load_cluster
from edgebll_firmware_host.policy.block_placement import Placement, place_among
from edgebll_firmware_host.policy.calibration import calibration_beside
from edgebll_firmware_host.policy.cost_model import QUICK, CostModel
from edgebll_firmware_host.policy.known_costs import KnownCosts
from edgebll_firmware_host.policy.step_costs import make_cost_model
from edgebll_firmware_host.policy.workload import Workload
from edgebll_firmware_host.run.job import make_job
from edgebll_firmware_host.run.recorded_run import RecordedRun, RunFacts
from edgebll_firmware_host.run.run_spec import DEFAULT_WINDOW, SimulateSpec, settled
from edgebll_firmware_host.simulation.described_cluster import described, named_link
from edgebll_firmware_host.simulation.incidents import Incidents, duration_s, moments, outage
from edgebll_firmware_host.simulation.phantom_stream import PhantomStream
from edgebll_firmware_host.simulation.virtual_job import VirtualJob

_LIFE_SHAPE = bounds.Bounds("", 0.1, 20.0)


@dataclass(frozen=True, kw_only=True)
class VirtualSpec:
    """What a run in virtual time is told beside what any simulated run is.

    Attributes:
        run: bundle, boards, window, data, snapshots, seed and the like.
        cluster: path of an inventory; empty for equal boards.
        board_profile: what kind of boards the equal ones are; empty for such as this machine.
        power_mode: of that profile; empty for its fastest.
        link: between machines of which nothing else is told; empty for one that takes no time.
        steps: training steps, without an evaluation; None for those of the data.
        fail: outages, see `incidents.outage`.
        join: boards that are added, BOARD@TIME.
        drain: boards that are drained, BOARD@TIME.
        mean_life: of a board until it fails by chance; empty for never.
        life_shape: of the Weibull distribution of lives.
        repair: until such a board is back; empty for never.
    """

    run: SimulateSpec
    cluster: str = ""
    board_profile: str = ""
    power_mode: str = ""
    link: str = ""
    steps: int | None = None
    fail: tuple[str, ...] = ()
    join: tuple[str, ...] = ()
    drain: tuple[str, ...] = ()
    mean_life: str = ""
    life_shape: float = 1.0
    repair: str = ""


@dataclass(frozen=True)
class VirtualLaunch:
    """A run in virtual time that is ready.

    Attributes:
        bundle: what would run.
        job: all that the run needs.
        model: where the numbers are from.
    """

    bundle: Bundle
    job: VirtualJob
    model: CostModel


def make_launch(spec: VirtualSpec) -> VirtualLaunch:
    """Get a run in virtual time ready.

    Args:
        spec: what.

    Raises:
        ConfigError: an option, the inventory or an incident is wrong, or nothing says how long a step takes.
        BundleError, DataError: the bundle is broken; the data set is missing or does not fit.
    """
    bundle = open_bundle(spec.run.bundle)
    inventory = _inventory(spec)
    incidents = _incidents(spec, inventory)
    runtime, threads = inventory.boards[0].runtime, inventory.boards[0].threads
    seconds = step_seconds(bundle, runtime=runtime, threads=threads) if spec.run.measure else None
    work = Workload.of(bundle, inventory.host.window, seconds)
    calibration = calibration_beside(spec.cluster) if spec.cluster else None
    if calibration is not None:
        calibration.check_boards(inventory.names)
    any_link = named_link(spec.link) if spec.link else QUICK
    model = make_cost_model(work, inventory.boards, inventory.links, calibration, any_link)
    known = KnownCosts(work, inventory.links, calibration)  # a real run, which places as this one, knows no more
    costs = described(model, inventory.names)

    def placer(boards: Sequence[BoardEntry], there: Collection[str]) -> Placement:
        return place_among(work.blocks, work.weights, boards, there, costs=known)

    stream = _stream(spec, bundle)
    snapshots = spec.run.snapshot_seconds
    job = VirtualJob(bundle.manifest, inventory, costs, placer, stream, incidents, snapshots, spec.run.seed)
    return VirtualLaunch(bundle, job, model)


def _inventory(spec: VirtualSpec) -> Cluster:
    if spec.cluster:
        if spec.board_profile or spec.power_mode:
            raise ConfigError("--board-profile is for boards without an inventory; write profile = ... into the inventory")
        return load_cluster(spec.cluster).with_window(spec.run.window)
    if spec.run.boards < 1:
        raise ConfigError("--virtual needs at least one board; give --boards or an inventory with --cluster")
    run = spec.run
    host = HostEntry(window=run.window or DEFAULT_WINDOW, deadline_s=run.deadline, patience_s=run.patience)
    kind = BoardEntry(
        "board0",
        "tcp://127.0.0.1:1",
        threads=run.threads,
        runtime=run.runtime,
        profile=spec.board_profile,
        power_mode=spec.power_mode,
    )
    boards = (replace(kind, name=f"board{n}", endpoint=f"tcp://127.0.0.1:{n + 1}") for n in range(run.boards))
    return Cluster(tuple(boards), host)


def _incidents(spec: VirtualSpec, inventory: Cluster) -> Incidents:
    _LIFE_SHAPE.check("life_shape", spec.life_shape)
    joins, drains = moments("join", spec.join), moments("drain", spec.drain)
    outages = tuple(outage(text) for text in spec.fail)
    for board in (*joins, *drains, *(one.board for one in outages)):
        if board not in inventory.names:
            shown = ", ".join(inventory.names[:8]) + (" ..." if len(inventory.names) > 8 else "")
            raise ConfigError(f"something is to happen to the board {board!r}, but there are {shown}")
    if len(joins) == len(inventory.boards):
        raise ConfigError("all boards join later; leave one out of --join for the run to begin with")
    mean_life_s = duration_s("mean_life", spec.mean_life) if spec.mean_life else None
    repair_s = duration_s("repair", spec.repair) if spec.repair else None
    if mean_life_s == 0:
        raise bounds.WrongValue("mean_life", "must be above 0s; leave it out for boards that never fail")
    if repair_s is not None and mean_life_s is None:
        raise bounds.WrongValue("repair", "is of boards that fail by chance; give --mean-life too")
    return Incidents(outages, joins, drains, mean_life_s, spec.life_shape, repair_s)


def _stream(spec: VirtualSpec, bundle: Bundle) -> PhantomStream:
    """So many steps, or what the data set makes of the bundle's batches."""
    first, every = bundle.manifest.blocks[0].name, spec.run.snapshot_every
    if spec.steps is not None:
        bounds.COUNT.check("steps", spec.steps)
        return PhantomStream(first, spec.steps, snapshot_every=every)
    recorded = RecordedRun(settled(spec.run, bundle), RunFacts("virtual", bundle.manifest_sha256))
    job = make_job(bundle, recorded, InProcess(spec.run.runtime, spec.run.threads), {})
    evaluations = -(-len(job.test) // bundle.manifest.batch_size)
    return PhantomStream(first, job.steps_per_epoch, spec.run.epochs, evaluations, every)
