"""A run goes on, bit for bit, while strangers without a key flood both boards; nothing of the boards grows with the flood."""

from __future__ import annotations

import ast
import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from support.direct_host import PATIENCE_S, AgentProcess, agent_process
from support.pipelines import SHORT, invoke, summary

from edgebll.kernel.keys import KeyPair, new_key_pair
from edgebll.kernel.transport.connection_limits import MAX_PENDING

EPOCHS = ("--epochs", "25")
#: A board has a control and a data socket, and the gate a descriptor of its own for each connection that is not proved yet;
#: the rest is for what is cut a moment later.
MAX_DESCRIPTORS = 4 * MAX_PENDING + 200
MAX_GROWTH_MB = 200
MAX_LOG_BYTES = 100_000


@contextlib.contextmanager
def flood(ports: list[str]) -> Iterator[dict[str, int]]:
    """Strangers at work for the length of a `with`; afterwards the dict has what they did."""
    path = Path(__file__).parents[1] / "support" / "flood.py"
    process = subprocess.Popen([sys.executable, str(path), *ports], stdout=subprocess.PIPE, text=True)
    done: dict[str, int] = {}
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "flooding\n"
        yield done
        process.terminate()
        done.update(ast.literal_eval(process.stdout.readline()))
    finally:
        process.kill()
        process.wait(PATIENCE_S)
        if process.stdout is not None:
            process.stdout.close()


class Watch(threading.Thread):
    """Looks at processes all the time; `descriptors` and `peak_mb` are the most seen of any."""

    def __init__(self, pids: list[int]) -> None:
        super().__init__(daemon=True)
        self.pids, self.over = pids, threading.Event()
        self.descriptors = 0
        self.peak_mb = 0

    def run(self) -> None:
        while not self.over.wait(0.02):
            for pid in self.pids:
                self.descriptors = max(self.descriptors, len(list(Path(f"/proc/{pid}/fd").iterdir())))
                self.peak_mb = max(self.peak_mb, memory_mb(pid, "VmRSS"))

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.join(PATIENCE_S)


def memory_mb(pid: int, what: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) >> 10 for line in lines if line.startswith(f"{what}:"))


def write_cluster(folder: Path, boards: dict[str, AgentProcess], keys: dict[str, KeyPair]) -> Path:
    text = '[host]\nkey = "host.key"\ndeadline_s = 60.0\n'
    for name, board in boards.items():
        text += f'[[board]]\nname = "{name}"\nendpoint = "{board.endpoint}"\npublic_key = "{keys[name].public}"\n'
    (folder / "cluster.toml").write_text(text)
    return folder / "cluster.toml"


def test_a_run_goes_on_through_a_flood(dense_bundle: Path, tmp_path: Path) -> None:
    keys = {name: new_key_pair(tmp_path / f"{name}.key") for name in ("host", "left", "right")}
    invoke("simulate", dense_bundle, *SHORT, *EPOCHS, "--boards", "0", "--out", tmp_path / "alone")
    with contextlib.ExitStack() as stack:
        boards = {
            name: stack.enter_context(
                agent_process(
                    tmp_path / name,
                    *("--key", str(tmp_path / f"{name}.key"), "--allow", keys["host"].public, "--deadline", "60"),
                    name=name,
                )
            )
            for name in ("left", "right")
        }
        cluster = write_cluster(tmp_path, boards, keys)
        invoke("run", dense_bundle, "--cluster", cluster, *SHORT, "--epochs", "2", "--out", tmp_path / "before")
        pids = [board.process.pid for board in boards.values()]
        usual_mb = max(memory_mb(pid, "VmRSS") for pid in pids)
        ports = [end.rpartition(":")[2] for board in boards.values() for end in (board.endpoint, board.data_endpoint)]
        with Watch(pids) as watch, flood(ports) as attacks:
            invoke("run", dense_bundle, "--cluster", cluster, *SHORT, *EPOCHS, "--out", tmp_path / "flooded")
        print(f"{attacks}; at most {watch.descriptors} descriptors; {usual_mb} MB, in the flood {watch.peak_mb} MB")
        assert summary(tmp_path / "flooded")["state_sha256"] == summary(tmp_path / "alone")["state_sha256"]
        assert min(attacks.values()) >= 1, attacks
        assert sum(attacks.values()) >= 500, attacks
        assert watch.descriptors <= MAX_DESCRIPTORS
        assert watch.peak_mb <= usual_mb + MAX_GROWTH_MB
        for name, board in boards.items():
            assert (tmp_path / name / "agent.log").stat().st_size < MAX_LOG_BYTES
            assert board.end() == 0
