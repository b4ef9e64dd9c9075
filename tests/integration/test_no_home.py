"""Users without a home folder, as containers have them: boards and hosts work, and say in a sentence where files are."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import nobody
from support.direct_host import DirectHost, agent_process
from support.nobody import USER, folder_of, prefix
from support.pipelines import SHORT, one_sentence, summary

from edgebll.kernel.bundle import Bundle

pytestmark = pytest.mark.skipif(nobody.why_not() is not None, reason=str(nobody.why_not()))

HOMES = [None, "/", "/nonexistent"]
SERVE = [
    sys.executable,
    "-c",
    "from edgebll_devices.commands.main import main; main()",
    "serve",
    "--listen",
    "tcp://127.0.0.1:0",
]
EDGEBLL = [sys.executable, "-c", "from edgebll.cli import main; main()"]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody may enter; pytest's own are their owner's."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture
def temporary(place: Path) -> Path:
    return folder_of(USER, place / "temporary")


@pytest.mark.parametrize("home", HOMES)
def test_a_board_serves_from_a_temporary_folder_and_says_so(temporary: Path, home: str | None) -> None:
    line = [*prefix(temporary, home), *SERVE]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "serving" in process.stdout.readline()
        process.terminate()
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    told = [said for said in errors.splitlines() if "home folder" in said]
    assert len(told) == 1, errors
    assert f"is kept in {temporary}/edgebll-{USER}, and may be lost with it" in told[0]
    assert (temporary / f"edgebll-{USER}/.local/state/edgebll/objects").is_dir()
    assert (temporary / f"edgebll-{USER}").stat().st_mode & 0o777 == 0o700


def test_a_board_with_a_state_folder_needs_no_other(temporary: Path, place: Path, two_blocks: Bundle) -> None:
    state = folder_of(USER, place / "state")
    with agent_process(state, prefix=prefix(temporary)) as agent, DirectHost(agent.endpoint, "run") as host:
        host.start(two_blocks, ("block0", "block1"))
        host.stop()
    assert "home folder" not in (state / "agent.log").read_text()
    assert list(temporary.glob("edgebll*")) == []


@pytest.mark.parametrize("is_link", [False, True])
def test_a_folder_that_is_anothers_is_not_used(temporary: Path, place: Path, is_link: bool) -> None:
    taken = temporary / f"edgebll-{USER}"
    taken.symlink_to(folder_of(USER, place / "elsewhere")) if is_link else taken.mkdir(mode=0o777)
    refused = subprocess.run([*prefix(temporary), *SERVE], capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 9
    sentence = refused.stderr.strip().splitlines()[-1]
    assert sentence.endswith(f"there is no home folder, and {taken} is not this user's alone; set HOME")
    assert "Traceback" not in refused.stderr


def test_a_host_runs_and_the_bits_are_the_same(temporary: Path, place: Path, dense_bundle: Path) -> None:
    runs = folder_of(USER, place / "runs")
    bundle = shutil.copytree(dense_bundle, place / "bundle")
    for boards in ("0", "1"):
        line = [*prefix(temporary), *EDGEBLL, "simulate", str(bundle), "--boards", boards, "--out", str(runs / boards)]
        ended = subprocess.run([*line, *SHORT], capture_output=True, text=True, timeout=120, check=False)
        assert ended.returncode == 0, ended.stderr
        assert "Matplotlib" not in ended.stderr
    assert summary(runs / "0")["state_sha256"] == summary(runs / "1")["state_sha256"]


def test_the_hosts_other_commands_look_into_it(temporary: Path) -> None:
    for words in (["data", "list"], ["keys", "hosts"]):
        ended = subprocess.run([*prefix(temporary), *EDGEBLL, *words], capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 0, ended.stderr
        assert "Traceback" not in ended.stderr
    absent = [*prefix(temporary), *EDGEBLL, "eval", "runs/none", "--data", "fashion-mnist"]
    ended = subprocess.run(absent, capture_output=True, text=True, timeout=60, check=False, cwd=temporary)
    assert ended.returncode == 3
    assert "runs/none" in one_sentence(ended.stderr)
