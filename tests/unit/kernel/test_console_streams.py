"""The standard streams of a process: full, without a reader, closed."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgebll.kernel.support.console_streams import _Descriptor

WORK = """
import logging, sys
from pathlib import Path
from edgebll.kernel.support.console_streams import check_delivered, guard_streams, say
guard_streams()
from rich.console import Console
from edgebll.kernel.errors import StorageError
say("progress")
Console(file=sys.stderr).print("more")
logging.basicConfig(stream=sys.stderr)
logging.warning("even more")
print("result", flush=True)
Path(sys.argv[1]).write_text("done")
try:
    check_delivered()
except StorageError as error:
    say(str(error))
    sys.exit(9)
"""
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")


def work(done: Path, redirections: str) -> subprocess.CompletedProcess[str]:
    """The process above, started by a shell with these redirections."""
    script = f'exec "$0" -X dev -c "$1" "$2" {redirections}'
    command = ["sh", "-c", script, sys.executable, WORK, str(done)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_all_arrives_where_it_can(tmp_path: Path) -> None:
    result = work(tmp_path / "done", "")
    assert (result.returncode, result.stdout) == (0, "result\n")
    assert result.stderr == "progress\nmore\nWARNING:root:even more\n"


@needs_full
def test_a_full_stderr_costs_lines_alone(tmp_path: Path) -> None:
    result = work(tmp_path / "done", "2>/dev/full")
    assert (result.returncode, result.stdout) == (0, "result\n")


@needs_full
def test_a_full_stdout_is_told_when_the_work_is_done(tmp_path: Path) -> None:
    result = work(tmp_path / "done", ">/dev/full")
    assert (tmp_path / "done").exists()
    assert result.returncode == 9
    assert result.stderr.splitlines()[-1] == "cannot write the output to stdout: No space left on device; send it elsewhere"


@pytest.mark.parametrize("which", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", "2</dev/null"])
def test_closed_streams_are_nobodys(tmp_path: Path, which: str) -> None:
    result = work(tmp_path / "done", which)
    assert (result.returncode, (tmp_path / "done").read_text()) == (0, "done")


def test_a_reader_that_went_away_is_told_by_the_exit_code(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-X", "dev", "-c", WORK, str(tmp_path / "done")]
    try:
        result = subprocess.run(command, stdout=writer, stderr=writer, timeout=60, check=False)
    finally:
        os.close(writer)
    assert (result.returncode, (tmp_path / "done").read_text()) == (141, "done")


def test_what_is_opened_next_never_gets_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom edgebll.kernel.support.console_streams import guard_streams\nguard_streams()\n"
        "opened = open(sys.argv[1], 'w')\nos.system('echo noise; echo noise >&2')\nsys.exit(opened.fileno() <= 2)\n"
    )
    command = ["sh", "-c", '"$0" -c "$1" "$2" >&- 2>&-', sys.executable, code, str(tmp_path / "file")]
    assert subprocess.run(command, timeout=60, check=False).returncode == 0
    assert (tmp_path / "file").read_text() == ""


def test_a_descriptor_that_would_not_wait_is_waited_for() -> None:
    """Whoever shares it, such as a shell's other programs, may have made it so."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    with ThreadPoolExecutor(1) as pool, open(read, "rb") as stream:
        taken = pool.submit(stream.read)
        raw = _Descriptor(write)
        assert raw.write(bytes(1 << 20)) == 1 << 20
        assert raw.thread.settle(20.0)
        os.close(write)
        assert taken.result(20.0) == bytes(1 << 20)
    assert raw.thread.lost is None
