"""What tests of an agent in their own process share: the agent, tokens for two small blocks, waiting."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.wire import TRAIN, Token
from edgebll_devices.agent.agent import Agent
from edgebll_devices.agent.settings import Settings
from support.direct_host import serving
from support.tiny_bundle import make_batch

RUN = "run-1"
BLOCKS = ("block0", "block1")
LOCAL = "tcp://127.0.0.1:0"


@contextlib.contextmanager
def running(folder: Path, deadline_s: float = 10.0, once: bool = False) -> Iterator[Agent]:
    """An agent that serves on free ports, with its state below `folder`."""
    agent = Agent(Settings(LOCAL, LOCAL, "tester", folder / "state", once=once, deadline_s=deadline_s))
    with serving(agent):
        yield agent


def train(bundle: Bundle, sequence: int, run: str = RUN, block: str = "block0") -> Token:
    """A training token; its batch is the same every time."""
    x, y = make_batch(bundle, sequence)
    return Token(run, block, TRAIN, sequence, sequence, 0, {"lr": 0.1}, tensors={"x": x, "y": y})


def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)
