"""Names of machines and network interfaces in endpoints."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from edgebll.kernel.errors import ConfigError, LinkError
from edgebll.kernel.keys import make_key_pair
from edgebll.kernel.transport import Receiver, Sender, check_address
from edgebll.kernel.transport.address import split_tcp
from edgebll.kernel.transport.name_resolution import needs_ipv6, numeric, resolve

#: Both ends over one name, in a process whose /etc/hosts is the first argument and which is alone with its network.
BOTH_ENDS = """
import sys
from edgebll.kernel.keys import make_key_pair
from edgebll.kernel.transport import Receiver, Sender
from edgebll.kernel.wire import Ping
listen, name = sys.argv[1:]
board, host = make_key_pair(), make_key_pair()
with Receiver(listen, keys=board, allowed=[host.public]) as receiver:
    endpoint = f"tcp://{name}:{receiver.endpoint.rsplit(':', 1)[1]}"
    with Sender(endpoint, keys=host, server_key=board.public) as sender:
        sender.send(Ping(7), 5.0)
        print(receiver.receive(5.0).sent_ns, receiver.endpoint.rsplit(":", 1)[0])
"""
SETUP = 'mount --bind "$0" /etc/hosts && ip link set lo up && ip link add d0 type bridge && ip link set d0 up && exec "$@"'


def alone(hosts: Path, *command: str) -> Sequence[str]:
    """A command with a network and an /etc/hosts of its own; skips where this machine does not allow that."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("this machine has no unshare or no ip")
    line = ["unshare", "--net", "--mount", "sh", "-c", SETUP, str(hosts)]
    allowed = subprocess.run([*line, "true"], capture_output=True, text=True, timeout=20)
    if allowed.returncode:
        pytest.skip(f"this machine makes no namespaces: {allowed.stderr.strip()}")
    return [*line, *command]


def both_ends(hosts: Path, listen: str, name: str) -> str:
    """Send a message from one end to the other."""
    command = alone(hosts, sys.executable, "-c", BOTH_ENDS, listen, name)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("name", ["six", "both", "localhost"])
def test_a_name_is_reached_whichever_kind_of_address_it_has(tmp_path: Path, name: str) -> None:
    (tmp_path / "hosts").write_text("::1 six localhost\n127.0.0.1 both\n::1 both\n")
    listen = "tcp://127.0.0.1:0" if name == "both" else "tcp://[::1]:0"
    assert both_ends(tmp_path / "hosts", listen, name).startswith("7 ")


def test_localhost_is_listened_on_where_it_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("::1 localhost\n")
    assert both_ends(tmp_path / "hosts", "tcp://localhost:0", "localhost") == "7 tcp://[::1]"
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n")
    assert both_ends(tmp_path / "hosts", "tcp://localhost:0", "localhost") == "7 tcp://127.0.0.1"


def test_a_link_local_address_is_reached_through_its_interface(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n")
    script = f"""
import socket, subprocess, sys
subprocess.run("ip -6 addr add fe80::7/64 dev d0 nodad".split(), check=True)
sys.argv[1:] = ["tcp://[fe80::7%d0]:0", "[fe80::7%d0]"]
{BOTH_ENDS}"""
    done = subprocess.run(alone(tmp_path / "hosts", sys.executable, "-c", script), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("7 ")


@pytest.mark.parametrize("zone", ["eth0", "wlan0.100", "enx00e04c680001", "2"])
def test_addresses_may_name_an_interface(zone: str) -> None:
    endpoint = f"tcp://[fe80::1%{zone}]:7101"
    assert split_tcp(endpoint) == (f"fe80::1%{zone}", "7101")
    check_address(endpoint)
    assert needs_ipv6(endpoint)


@pytest.mark.parametrize("endpoint", ["tcp://[fe80::1%]:1", "tcp://[fe80::1%a b]:1", "tcp://[eth0]:1", "tcp://[::1%a/b]:1"])
def test_other_brackets_are_no_addresses(endpoint: str) -> None:
    with pytest.raises(ConfigError, match="must look like tcp://HOST:PORT"):
        check_address(endpoint)


def test_what_this_machine_does_not_know_is_named() -> None:
    with pytest.raises(LinkError, match=r"names the network interface 'nope0', which .* does not have"):
        resolve("tcp://[fe80::1%nope0]:7101")
    with pytest.raises(LinkError, match=r"cannot resolve the name 'no-such-board\.invalid'"):
        resolve("tcp://no-such-board.invalid:7101")
    assert not needs_ipv6("tcp://no-such-board.invalid:7101")


def test_an_interface_that_is_missing_is_named_where_a_link_is_made() -> None:
    keys = make_key_pair()
    with pytest.raises(LinkError, match="interface 'nope0'"):
        Sender("tcp://[fe80::1%nope0]:7", keys=keys, server_key=keys.public)


def test_addresses_stand_for_themselves() -> None:
    assert resolve("tcp://127.0.0.1:7") == ("127.0.0.1",)
    assert resolve("tcp://[::1]:7") == ("::1",)
    assert numeric("tcp://orin:7", "10.1.2.3") == "tcp://10.1.2.3:7"
    assert numeric("tcp://orin:7", "fd00::3") == "tcp://[fd00::3]:7"
    assert not needs_ipv6("tcp://*:7")
    with Receiver("tcp://localhost:0") as receiver:
        assert receiver.endpoint.startswith("tcp://127.0.0.1:")
