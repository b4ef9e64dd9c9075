"""Boards and links of a run in virtual time, from the cost model that places blocks; what it does not tell is assumed here."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.link_quantities import speed_and_delay
from edgebll_firmware_host.policy.cost_model import BoardPower, CostModel, LinkCost, MessageCost
from edgebll_firmware_host.simulation.virtual_cluster import VirtualBoard, VirtualCluster, VirtualHost, VirtualLink

#: A forward pass beside a training step, which computes a gradient of the input and one of the weights as well.
EVAL_SHARE = 1 / 3
#: Processor time of a message, and of a byte of it, where it was not measured: what agents of ordinary machines took.
MESSAGES = MessageCost(2e-4, 5e-10)
#: A byte of state is copied once, at a few GB/s.
COPY_S = 3e-10
#: To load a block that was not there before: graphs are read and optimised.
LOAD_S = 0.3
#: The host makes a token, and takes what a block says of it; it writes snapshots to a card or disk.
HOST = VirtualHost(token_s=5e-4, report_s=1e-4, disk_bytes_per_s=5e7, greet_s=0.05)
#: Kinds of networks by name: usual figures of what a program gets through them, without a claim on any one network.
NETWORKS = {
    "ethernet": LinkCost(2e-4, 1.17e8),
    "fast-ethernet": LinkCost(3e-4, 1.17e7),
    "wifi": LinkCost(3e-3, 5e6, 2e-3, 0.002),
    "loopback": LinkCost(5e-5, 1e9),
}


def named_link(text: str) -> LinkCost:
    """A link as it is typed: a name of NETWORKS, or SPEED/DELAY such as 5Mbit/20ms.

    Raises:
        ConfigError: it is neither.
    """
    if text in NETWORKS:
        return NETWORKS[text]
    try:
        bytes_per_s, latency_s = speed_and_delay("link", text)
    except ConfigError as error:
        raise ConfigError(
            f"--link must be {', '.join(NETWORKS)} or a speed and a delay such as 5Mbit/20ms, not {text!r}"
        ) from error
    return LinkCost(latency_s, bytes_per_s)


def described(model: CostModel, boards: Iterable[str]) -> VirtualCluster:
    """The boards of a cost model as they are known to a run in virtual time.

    Args:
        model: of the bundle on these boards.
        boards: their names.

    Raises:
        ConfigError: nothing says how long a training step takes.
    """
    model.require_seconds()

    @cache
    def link_of(source: str, target: str) -> VirtualLink:
        link = model.link(source, target)
        rate = None if math.isinf(link.bytes_per_s) else link.bytes_per_s
        return VirtualLink(link.latency_s, rate, link.jitter_s, link.loss)

    return VirtualCluster({name: _board(model, name) for name in boards}, HOST, link_of=link_of)


def _board(model: CostModel, name: str) -> VirtualBoard:
    steps = dict(zip(model.work.blocks, model.steps[name], strict=True))
    message = model.messages.get(name, MESSAGES)
    power = model.power.get(name, BoardPower(0.0, 0.0))
    return VirtualBoard(
        name,
        train_s={block: step.seconds for block, step in steps.items()},
        eval_s={block: EVAL_SHARE * step.seconds for block, step in steps.items()},
        spread=max(step.spread for step in steps.values()),
        message_s=message.seconds,
        byte_s=message.seconds_per_byte,
        copy_s=COPY_S,
        load_s=LOAD_S,
        idle_w=power.idle_w,
        busy_w=power.idle_w + power.dynamic_w,
    )
