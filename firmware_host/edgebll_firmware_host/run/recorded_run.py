"""run.json of a run over a bundle: its spec, and what was found out when it began; all it takes to go on with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from edgebll.kernel.errors import BundleError, ConfigError
from edgebll.kernel.runs.run_folder import read_config
from edgebll.kernel.support.plain_dataclasses import PlainError, from_plain, to_plain
from edgebll.kernel.version import __version__
from edgebll_firmware_host.run.run_spec import SPECS, RunSpec

#: Version of run.json's layout; the first had none, and the schedule as a table of its own.
RUN_VERSION = 2


@dataclass(frozen=True)
class RunFacts:
    """What was found out when a run began.

    Attributes:
        run: identifier of the run.
        manifest_sha256: of the bundle's manifest.json.
        weights: measured seconds of each block's step, for the placement; None for an estimate.
        threads_used: threads of a run in this process; 0 where boards compute.
    """

    run: str
    manifest_sha256: str
    weights: tuple[float, ...] | None = None
    threads_used: int = 0


@dataclass(frozen=True)
class RecordedRun:
    """A run as run.json has it. Attributes: spec: settled, see `run_spec`. facts: what was found out when it began."""

    spec: RunSpec
    facts: RunFacts

    def document(self, more: Mapping[str, Any]) -> dict[str, Any]:
        """The content of run.json.

        Args:
            more: entries for people, e.g. how many boards the inventory has; not read back.
        """
        head = {"kind": self.spec.kind, "run_version": RUN_VERSION, "edgebll": __version__}
        return {**head, **to_plain(self.spec), **to_plain(self.facts), **more}


def read_recorded(run: Path) -> RecordedRun:
    """What the run.json of an unfinished or a whole run says.

    Raises:
        BundleError: there is no run, it is not one over a bundle, or run.json is damaged or of a later release.
    """
    config = read_config(run)
    kind, version = config.get("kind"), config.get("run_version", 1)
    if not isinstance(kind, str) or kind not in SPECS:
        command = f"resume it with `edgebll {kind} --resume`" if kind == "train" else "run it again"
        raise BundleError(f"{run} is no run of `edgebll simulate` or `run`, but of {kind!r}; {command}")
    if version == 1:
        config = _from_version_1(config)
    elif version != RUN_VERSION:
        raise BundleError(
            f"{run}/run.json has version {version!r}, this edgebll reads {RUN_VERSION}; use the release that wrote it"
        )
    where = f"{run}/run.json"
    try:
        return RecordedRun(_part(SPECS[kind], config, where), _part(RunFacts, config, where))
    except (PlainError, ConfigError) as error:
        raise BundleError(f"{error}; run it again") from error


def _part(cls: Any, config: Mapping[str, Any], where: str) -> Any:
    missing = {"bundle", "data"} - config.keys()
    if missing:
        raise PlainError(f"{where}: field {min(missing)!r} is missing")
    return from_plain(cls, {field.name: config[field.name] for field in fields(cls) if field.name in config}, where)


def _from_version_1(config: Mapping[str, Any]) -> dict[str, Any]:
    """The schedule was a table; what else is in that comes from the bundle, which is the same one."""
    schedule = config.get("schedule")
    if not isinstance(schedule, dict):
        return dict(config)
    rates = {"lr": schedule.get("lr"), "schedule": schedule.get("kind"), "warmup_steps": schedule.get("warmup_steps")}
    return {**config, **rates}
