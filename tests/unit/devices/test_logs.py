"""The agent's log for programs: every line is JSON, the files are bounded, and a disk that refuses ends nothing."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgebll.kernel.errors import ConfigError, StorageError
from edgebll_devices.service.json_log import KEPT, LEAST_BYTES, JsonLog, json_log

NASTY = 'a "quoted"\nline\x00\x1b[31m, a surrogate \udc80 and \N{SNOWMAN} \N{FIRE}'


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("edgebll_devices.test")
    logging.getLogger().setLevel(logging.INFO)
    yield logger
    logging.getLogger().setLevel(logging.WARNING)


def lines(path: Path) -> list[dict]:
    text = path.read_bytes().decode("ascii")
    assert text.endswith("\n") or not text
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_is_an_object_that_says_when_what_and_for_whom(tmp_path: Path, logger: logging.Logger) -> None:
    path = tmp_path / "logs" / "board.jsonl"
    with json_log(path, LEAST_BYTES) as log:
        assert log is not None
        # Not through the logger: pytest keeps what that is told, and xdist cannot send a surrogate.
        log.handle(logger.makeRecord(logger.name, logging.INFO, __file__, 0, "%s", (NASTY,), None))
        log.where = lambda: ("r1", 3)
        try:
            raise ZeroDivisionError("burst")
        except ZeroDivisionError:
            logger.exception("the worker failed")
        logger.debug("not at this level")
    logger.info("after it was closed")
    first, second = lines(path)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first.pop("time"))
    assert first == {"level": "INFO", "message": NASTY}
    assert (second["level"], second["run"], second["incarnation"]) == ("ERROR", "r1", 3)
    assert second["trace"].endswith("ZeroDivisionError: burst")


@pytest.mark.parametrize(("error", "traced"), [(StorageError("cannot write x"), False), (KeyError("x"), True)])
def test_what_ends_the_process_is_the_last_line(tmp_path: Path, error: Exception, traced: bool) -> None:
    with pytest.raises(type(error)), json_log(tmp_path / "log", LEAST_BYTES):
        raise error
    (line,) = lines(tmp_path / "log")
    assert (line["level"], line["message"], "trace" in line) == ("CRITICAL", str(error), traced)


def test_the_files_are_bounded_and_every_line_parses(tmp_path: Path, logger: logging.Logger) -> None:
    with json_log(tmp_path / "board.jsonl", LEAST_BYTES) as log:
        assert log is not None
        log.where = lambda: ("\N{FIRE}" * 10_000, 1)
        for number in range(200):
            logger.info("%d %s", number, "\N{FIRE}" * (10_000 if number % 3 else 1))
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"board.jsonl", *(f"board.jsonl.{number}" for number in range(1, KEPT + 1))}
    found = [line for path in sorted(tmp_path.iterdir(), reverse=True) for line in lines(path)]
    assert max(path.stat().st_size for path in tmp_path.iterdir()) <= LEAST_BYTES
    numbers = [int(line["message"].split()[0]) for line in found]
    assert numbers == list(range(numbers[0], 200))


def test_a_line_torn_by_a_loss_of_power_is_removed(tmp_path: Path, logger: logging.Logger) -> None:
    path = tmp_path / "log"
    for left, kept in ((b'{"message": "whole"}\n{"mess', 1), (b'{"mess', 0), (b"", 0)):
        path.write_bytes(left)
        with json_log(path, LEAST_BYTES):
            logger.info("next")
        assert [line["message"] for line in lines(path)] == ["whole"] * kept + ["next"]


def test_a_disk_that_refuses_is_named_once_and_no_half_line_stays(tmp_path: Path) -> None:
    """A process that may not let a file grow, which is what a full disk does; then there is space again."""
    path = tmp_path / "log"
    script = textwrap.dedent(
        f"""
        import logging, resource, signal
        from pathlib import Path
        from edgebll_devices.service.json_log import json_log
        logging.basicConfig(level=logging.INFO, filename="/dev/null")
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        with json_log(Path({str(path)!r}), 1_000_000):
            for number in range(10):
                if number == 2:  # half of the next line fits
                    resource.setrlimit(resource.RLIMIT_FSIZE, (Path({str(path)!r}).stat().st_size + 50, hard))
                if number == 8:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
                logging.info("%d %s", number, "x" * 100)
        """
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
    assert result.stderr.count("\n") == 1
    assert f"cannot write {path}" in result.stderr
    assert [int(line["message"].split()[0]) for line in lines(path)] == [0, 1, 8, 9]


def test_what_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--log-bytes must be at least"):
        JsonLog(tmp_path / "log", LEAST_BYTES - 1)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        JsonLog(tmp_path / "file" / "log", LEAST_BYTES)
    assert os.listdir(tmp_path) == ["file"]
