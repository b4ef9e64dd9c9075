"""The numbers of docs/explanation/reliability.md are those of the code."""

from __future__ import annotations

import configparser
import inspect
from pathlib import Path

import pytest

from edgebll.kernel.runs.run_lock import KEPT_SNAPSHOTS
from edgebll_devices.agent import run_history as runs
from edgebll_devices.commands import serve as serve_command
from edgebll_devices.session import runtime_pool as warm
from edgebll_devices.storage import file_cache as cache
from edgebll_devices.storage import state_files, write_budget
from edgebll_firmware_host.commands import cluster
from edgebll_firmware_host.commands import run as pipeline
from edgebll_firmware_host.inventory import HostEntry
from edgebll_firmware_host.policy import look_schedule as looks
from edgebll_firmware_host.policy import next_actions as planner
from edgebll_firmware_host.policy import recovery_policy as recovery
from edgebll_firmware_host.run.run_spec import SNAPSHOT_SECONDS
from edgebll_firmware_host.run_files import control_client as asking
from edgebll_firmware_host.run_files import status_files as desk

ROOT = Path(__file__).parents[2]
TEXT = " ".join((ROOT / "docs" / "explanation" / "reliability.md").read_text("utf-8").split())
WORDS = {1: "one", 2: "two", 3: "three"}
SERVE = {name: option.default for name, option in inspect.signature(serve_command.serve).parameters.items()}


def watchdog_s() -> int:
    unit = configparser.ConfigParser(interpolation=None, comment_prefixes="#")
    unit.read_string((ROOT / "devices" / "edgebll-board.service").read_text())
    return int(unit["Service"]["WatchdogSec"])


@pytest.mark.parametrize(
    "phrase",
    [
        f"`--snapshot-seconds` seconds ({SNAPSHOT_SECONDS:g} unless told otherwise)",
        f"The newest {WORDS[KEPT_SNAPSHOTS]} are kept",
        f"each of the last {runs.KEPT} runs",
        "within a second of the first one" if recovery.GRACE_S == 1 else "",
        f"looked for every {WORDS[int(looks.LOOK_S)]} seconds",
        "down to once a minute" if looks.LONGEST_S == 60 else "",
        f"`edgebll-board serve --keep-snapshots {SERVE['keep_snapshots']}`",
        f"at the newest {WORDS[SERVE['keep_snapshots']]} snapshots",
        f"stay loaded for {warm.KEEP_S:g} seconds",
        f"after `deadline_s` ({HostEntry().deadline_s:g} s)",
        f"a heartbeat every {planner.PING_PERIOD_S:g} s",
        f"its size at {planner.SLOWEST_LINK >> 20} MiB/s",
        f"`WatchdogSec` ({watchdog_s()} s)",
        f"the board's `--deadline` ({SERVE['deadline']:g} s)",
        f"`patience_s` seconds ({HostEntry().patience_s:g};",
        f"{WORDS[recovery._SAME]} times without progress",
        "`status.json` (every second)" if desk.EVERY_S == 1 else "",
        f"One that has been silent for {asking.STALE_S:g} s",
        f"wait {cluster.ANSWER_S:g} s at most",
        f"say so after {asking._LONG_S:g} s",
        f"at most {SERVE['keep_gib_per_day']:g} GiB a day",
        "it may save up one" if write_budget.disk_budget(1.0).saved == 1 << 30 else "",
        f"reached its {cache.DEFAULT_LIMIT_BYTES >> 30} GiB",
        f"less than {cache._SPARE_BYTES >> 20} MiB would be left",
        "a day after their run" if state_files._FORGOTTEN_S == 86400 else "",
        f"`--leave-seconds` ({SERVE['leave_seconds']:g})",
    ],
)
def test_a_number_is_that_of_the_code(phrase: str) -> None:
    assert phrase, "another number by now: change the document and this test"
    assert phrase in TEXT


def test_commands_take_the_same_numbers() -> None:
    """Deadline and patience of `edgebll simulate` are those of an inventory that does not say."""
    defaults = {name: option.default for name, option in inspect.signature(pipeline.simulate).parameters.items()}
    host = HostEntry()
    assert (defaults["deadline"], defaults["patience"]) == (host.deadline_s, host.patience_s)
