"""Runs from Python: in a thread beside an event loop, told of every step, silent, and with the bits of the command line."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.pipelines import SHORT, invoke, summary

import edgebll
from edgebll.kernel.errors import BundleError, ConfigError
from edgebll.kernel.runs.run_events import RunEvaluated, RunFinished, RunStarted, RunStep

#: Nothing heavy, no command line, and nothing of the wings may be there after this.
LIGHT = """
import sys
import edgebll
dir(edgebll)
heavy = {"torch", "onnx", "onnxruntime", "numpy", "zmq", "typer", "edgebll_export", "edgebll_firmware_host"} & set(sys.modules)
assert not heavy, heavy
"""


def test_the_package_itself_imports_nothing_heavy() -> None:
    subprocess.run([sys.executable, "-c", LIGHT], check=True, timeout=60)


def test_a_run_in_a_thread_beside_an_event_loop_has_the_bits_of_the_command(
    dense_bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    events: list[tuple[str, edgebll.RunEvent]] = []
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]

    def note(event: edgebll.RunEvent) -> None:
        events.append((threading.current_thread().name, event))

    def work() -> edgebll.RunResult:
        return edgebll.simulate(dense_bundle, tmp_path / "run", data="digits", limit=160, boards=2, progress=note)

    async def beside() -> edgebll.RunResult:
        ticks, done = 0, asyncio.ensure_future(asyncio.to_thread(work))
        while not done.done():
            await asyncio.sleep(0)
            ticks += 1
        assert ticks > 1, "the loop went on meanwhile"
        return done.result()

    result = asyncio.run(beside())
    assert capfd.readouterr() == ("", "")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == handlers
    told = json.loads(invoke("simulate", dense_bundle, "--boards", 2, *SHORT, "--json", "--out", tmp_path / "typed"))
    assert result.state_sha256 == told["state_sha256"]
    assert (result.path, result.summary) == (tmp_path / "run", summary(tmp_path / "run"))
    assert result.summary.keys() == summary(tmp_path / "typed").keys()
    assert (result.accuracy, result.loss) == (told["accuracy"], told["loss"])
    assert {name for name, _ in events} == {"asyncio_0"}, "told in the thread that called"
    kinds = [event for _, event in events]
    assert kinds[0] == RunStarted(("block0", "block1"), 0, 10)
    assert [event.step for event in kinds if isinstance(event, RunStep)] == list(range(1, 11))
    assert [event for event in kinds if isinstance(event, RunEvaluated)] == [
        RunEvaluated(1, 10, {"accuracy": result.accuracy or 0.0, "loss": result.loss or 0.0})
    ]
    assert kinds[-1] == RunFinished(result)


def test_what_a_callback_raises_ends_a_run_that_can_be_resumed(dense_bundle: Path, tmp_path: Path) -> None:
    class EnoughError(Exception):
        pass

    def stop(event: edgebll.RunEvent) -> None:
        if isinstance(event, RunStep) and event.step == 7:
            raise EnoughError

    how = {"data": "digits", "limit": 160, "boards": 0}
    with pytest.raises(EnoughError):
        edgebll.simulate(dense_bundle, tmp_path / "run", snapshot_every=3, progress=stop, **how)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="leave out epochs"):
        edgebll.simulate(resume=tmp_path / "run", epochs=2)
    with pytest.raises(BundleError, match="was begun by `edgebll simulate`"):
        edgebll.run(resume=tmp_path / "run")
    events: list[edgebll.RunEvent] = []
    resumed = edgebll.simulate(resume=tmp_path / "run", progress=events.append)
    assert isinstance(events[0], RunStarted)
    assert events[0].step in (0, 3, 6), "a thread writes snapshots; those it has not come to are lost"
    whole = edgebll.simulate(dense_bundle, tmp_path / "whole", **how)  # type: ignore[arg-type]
    assert resumed.state_sha256 == whole.state_sha256
    assert edgebll.evaluate(resumed).state_sha256 == whole.state_sha256


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "give the bundle to train, or resume a run"),
        ({"bundle": "x"}, "give the run folder to write, out, or resume a run"),
        ({"snapshot_seconds": -1.0}, "snapshot_seconds must be a number of seconds, at least 0 .* not -1"),
        ({"deadline": float("nan")}, "deadline must be a number of seconds, at least 1 .* not nan"),
        ({"boards": -1}, "boards must be at least 0"),
        ({"threads": 0}, "threads must be at least 1 and less than 1025, not 0"),
        ({"resume": "x", "out": "y"}, "resume goes on with the run as it began; leave out out"),
    ],
)
def test_options_are_named_as_python_spells_them(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        edgebll.simulate(**arguments)  # type: ignore[arg-type]
    assert "--" not in str(caught.value)
