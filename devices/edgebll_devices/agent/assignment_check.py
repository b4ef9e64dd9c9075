"""Whether what a host offers and assigns fits together, before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence

from edgebll.kernel.errors import ConfigError, LinkError, WireError
from edgebll.kernel.keys import KeyPair
from edgebll.kernel.spec.file_entry import FileEntry
from edgebll.kernel.spec.manifest import Manifest
from edgebll.kernel.spec.runtime_names import SERIAL
from edgebll.kernel.support.plain_dataclasses import short
from edgebll.kernel.transport import check_security
from edgebll.kernel.wire import Assign, Offer, state_file, streams_file


def check_snapshot(offer: Offer, manifest: Manifest) -> None:
    """Refuse files of a snapshot with names that none has: they are known beforehand, and become paths here.

    Raises:
        WireError: there is one.
    """
    known = {name for block in manifest.blocks for name in (state_file(block.name), streams_file(block.name))}
    for name in offer.snapshot:
        if name not in known:
            raise WireError(f"the offered file {name[:80]!r} is not one of a snapshot of this bundle; start the run again")


def check_start(assign: Assign, offer: Offer) -> None:
    """Refuse a start in mid-stream without the states that belong to it, and the other way round.

    Raises:
        WireError: it is one.
    """
    missing = [name for name in assign.blocks if offer.snapshot and state_file(name) not in offer.snapshot]
    if assign.step < 0 or bool(assign.step) != bool(offer.snapshot) or missing:
        raise WireError(f"an Assign from step {assign.step} needs the snapshot of all its blocks; start the run again")


def check_assign(assign: Assign, manifest: Manifest, files: dict[str, FileEntry], keys: KeyPair | None) -> None:
    """Refuse blocks that cannot be hosted with what was offered, or whose targets cannot be sent to.

    Raises:
        WireError: something is missing or does not fit. LinkError: a key is missing. ConfigError: off loopback without one.
    """
    if not assign.blocks or len(set(assign.blocks)) != len(assign.blocks):
        raise WireError(f"an Assign must name different blocks, not {list(assign.blocks)}")
    if assign.threads < 1:
        raise WireError(f"a block needs at least 1 thread, not {assign.threads}")
    for name in assign.blocks:
        needed = [f"{name}/{graph}.onnx" for graph in manifest.block(name).graphs] + [f"{name}/state.safetensors"]
        absent = sorted(set(needed) - set(files))
        if absent:
            raise WireError(f"the block {name} needs {absent[0]}, which was not offered")
        for target in manifest.targets(name):
            if target not in assign.blocks:
                _check_target(assign, name, target, keys)


def assigned_port(assign: Assign, served: Sequence[str]) -> str:
    """The port of the microcontroller that is to host the blocks; empty where none is.

    Args:
        assign: the host's order.
        served: ports that whoever started the agent named: a host opens no others on this machine.

    Raises:
        ConfigError: the port is not served.
    """
    if assign.runtime != SERIAL:
        return ""
    port = assign.port or next(iter(served), "")
    if port not in served:
        has = f"only {', '.join(served)}" if served else "which serves none"
        wanted = f"the port {short(port)}" if port else "the port of a microcontroller"
        raise ConfigError(f"the host wants {wanted} of this board, {has}; serve with --serial /dev/ttyACM0, say")
    return port


def _check_target(assign: Assign, name: str, target: str, keys: KeyPair | None) -> None:
    endpoint = assign.endpoints.get(target)
    if endpoint is None:
        raise WireError(f"the Assign does not say where {target} is, which {name} sends to")
    encrypted = target in assign.endpoint_keys
    if encrypted and keys is None:
        raise LinkError(f"the link to {endpoint} needs a key, and this board has none; serve with --key")
    check_security(endpoint, keys if encrypted else None)
