"""State folders that cannot do or take something: without hard links, read-only, full, no folder at all."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import no_hard_links
from support.direct_host import DirectHost, agent_process
from support.pipelines import one_sentence

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.wire import Failure

BLOCKS = ("block0", "block1")
SERVE = [
    sys.executable,
    "-c",
    "from edgebll_devices.commands.main import main; main()",
    "serve",
    "--listen",
    "tcp://127.0.0.1:0",
]
EDGEBLL = [sys.executable, "-c", "from edgebll.cli import main; main()"]
#: Become the rest of the line where the folder named first is mounted otherwise, for this process alone.
UNSHARE = ("unshare", "--mount", "sh", "-c")
READ_ONLY = (*UNSHARE, 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"')
SMALL = (*UNSHARE, 'mount -t tmpfs -o size=16k none "$0" && exec "$@"')
FULL = (*UNSHARE, 'mount -t tmpfs -o size=4k none "$0" && head -c 4096 /dev/zero >"$0/rest" && exec "$@"')


def why_no_mounts() -> str | None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return "mounts need root and unshare (util-linux)"
    tried = subprocess.run([*SMALL, "/tmp", "true"], capture_output=True, text=True, check=False, timeout=20)
    return None if tried.returncode == 0 else f"this machine lets us mount nothing: {tried.stderr.strip()}"


needs_mounts = pytest.mark.skipif(why_no_mounts() is not None, reason=str(why_no_mounts()))
needs_filter = pytest.mark.skipif(no_hard_links.why_not() is not None, reason=str(no_hard_links.why_not()))


def refused(state: Path, *prefix: str) -> str:
    """What a board says that does not start."""
    line = [*prefix, *SERVE, "--state", str(state)]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 9, ended.stderr
    assert ended.stdout == ""
    return one_sentence(ended.stderr.replace("edgebll-board:", "edgebll:"))


@needs_filter
def test_where_there_are_no_hard_links_files_are_copied(two_blocks: Bundle, tmp_path: Path) -> None:
    for round_, error in enumerate((errno.EPERM, errno.EOPNOTSUPP)):
        prefix, run = no_hard_links.prefix(error), f"run{round_}"
        with agent_process(tmp_path, prefix=prefix) as agent, DirectHost(agent.endpoint, run) as host:
            host.hello()
            want = host.offer(two_blocks, BLOCKS)
            assert len(want.sha256) == (6 if round_ == 0 else 0)
            host.send_files(two_blocks, want)
            host.assign(BLOCKS)
            assert "Ready" in repr(host.next())
            host.stop()
    assert list((tmp_path / "sessions").iterdir()) == []


LINK = "import os, sys; os.link(sys.argv[1], sys.argv[1] + '.link')"


@needs_filter
def test_there_really_are_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    line = [*no_hard_links.prefix(), sys.executable, "-c", LINK, str(tmp_path / "file")]
    tried = subprocess.run(line, capture_output=True, text=True, timeout=20, check=False)
    assert "PermissionError" in tried.stderr


@needs_filter
def test_a_key_is_made_there_and_never_overwritten(tmp_path: Path) -> None:
    line = [*no_hard_links.prefix(), *EDGEBLL, "keys", "new", str(tmp_path / "host.key")]
    made, again = (subprocess.run(line, capture_output=True, text=True, timeout=60, check=False) for _ in range(2))
    assert (made.returncode, again.returncode) == (0, 2), made.stderr
    assert "exists already" in one_sentence(again.stderr)
    assert (tmp_path / "host.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["host.key"]


@needs_mounts
def test_a_folder_that_has_become_read_only(tmp_path: Path) -> None:
    with agent_process(tmp_path) as agent:
        assert agent.end() == 0
    sentence = refused(tmp_path, *READ_ONLY, str(tmp_path))
    assert re.search(rf"cannot write {tmp_path}/\S+: Read-only file system; choose another folder$", sentence)


@needs_mounts
def test_a_full_disk(two_blocks: Bundle, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    sentence = refused(state, *FULL, str(state))
    assert re.search(rf"cannot write {state}/\S+: No space left on device; free some space or choose another folder$", sentence)
    with agent_process(state, prefix=(*SMALL, str(state))) as agent, DirectHost(agent.endpoint, "run") as host:
        host.hello()
        host.send_files(two_blocks, host.offer(two_blocks, BLOCKS))
        failure = host.expect(Failure)
        assert failure.code == 9
        assert re.search(rf"cannot write {state}/\S+: No space left on device; free some space", failure.message)
        host.stop()
        assert agent.process.poll() is None, "it waits for the next host"


def test_no_folder_at_all(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    assert re.search(
        rf"cannot write {tmp_path}/state/\S+: Not a directory; choose another folder$", refused(tmp_path / "state")
    )
