"""Four boards, one of them killed in mid-run: the run recovers and ends with the bits of an undisturbed one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import edgebll as eb


class Killer:
    """Kills one agent of this process when a run comes to a step.

    Args:
        step: the training step.
    """

    def __init__(self, step: int) -> None:
        self.step = step
        self.killed = False

    def __call__(self, event: eb.RunEvent) -> None:
        """Is told all that happens in the run."""
        if event.kind == "recovered":
            print(f"recovered: {event}")
        if event.kind == "step" and not self.killed and event.step >= self.step:  # type: ignore[attr-defined]
            self.killed = True
            os.kill(agents()[0], signal.SIGKILL)


def agents() -> list[int]:
    """Process ids of the board agents that this process has started (Linux)."""
    children = [pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]
    return [int(pid) for pid in children if b"serve" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def main() -> None:
    """The same run twice: one after another in this process, and over four boards of which one dies."""
    network = eb.make_network("mlp", num_blocks=4, num_classes=10, input_shape=(1, 8, 8), seed=0)
    eb.export_bundle(network, rule=eb.BLL(), optimizer=eb.SGD(lr=0.05), batch_size=32, path="four-bundle")
    quiet = eb.simulate("four-bundle", "undisturbed", data="digits", epochs=4, boards=0)
    run = eb.simulate("four-bundle", "killed", data="digits", epochs=4, boards=4, snapshot_every=20, progress=Killer(60))
    print(f"recoveries: {len(run.summary['recoveries'])}, accuracy {run.accuracy:.1%}")
    print("same bits:", run.state_sha256 == quiet.state_sha256)


if __name__ == "__main__":  # boards are processes that import this file
    main()
