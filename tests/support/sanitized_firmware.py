"""The firmware as a process under AddressSanitizer and UBSan, and bytes made to break it."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
from pathlib import Path

from edgebll.kernel.microcontroller import BlockPlan
from edgebll.kernel.wire.serial_frames import FrameDecoder, encode_frame
from edgebll.kernel.wire.spike_coding import BITS, EVENTS
from edgebll_devices.microcontroller import requests
from edgebll_devices.microcontroller.firmware_boards import find_board, firmware_folder
from edgebll_devices.microcontroller.firmware_build import sources
from edgebll_devices.microcontroller.requests import HEADER, REPLY, Op, Span
from support.noisy_line import Noise

POOL = 1 << 16
_FLAGS = (
    "-std=c99",
    "-O1",
    "-g",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-ffp-contract=off",
    "-DEDGEBLL_SPARSE",
)
_ROOMS = ("link", "server", "runtime", "boards")


def compiler() -> str | None:
    """Path of a compiler that has the sanitizers."""
    return shutil.which("gcc") or shutil.which("clang")


class SanitizedFirmware:
    """A process of the firmware behind a Unix socket, that ends with a report where it does what it must not.

    Args:
        folder: for the program, its socket and what it says.
        limit: bytes of its pool.
    """

    def __init__(self, folder: Path, limit: int = POOL) -> None:
        program, path, self._said = folder / "firmware", folder / "line", folder / "report"
        command = [compiler() or "cc", *_FLAGS, *(f"-I{firmware_folder() / room}" for room in _ROOMS)]
        command += ['-DBOARD_NAME="host"', "-DBOARD_BAUD=115200u", *map(str, sources(find_board("host"))), "-o", str(program)]
        subprocess.run(command, check=True)
        with self._said.open("w") as said:
            self._process = subprocess.Popen([str(program), "unix", str(path), str(limit)], stdout=subprocess.PIPE, stderr=said)
        assert self._process.stdout is not None
        self._process.stdout.readline()
        self._line = socket.socket(socket.AF_UNIX)
        self._line.connect(str(path))
        self._line.settimeout(20.0)
        self._decoder, self.last = FrameDecoder(1 << 16), 0

    def send(self, data: bytes) -> None:
        """Send bytes, whatever they are."""
        self._line.sendall(data)

    def ask(self, request: requests.BoardRequest, sequence: int | None = None) -> int:
        """Send a request; the op of what is answered to it."""
        if sequence is None:
            sequence = (self.last + 1) & 0xFFFF
        self.send(b"\0" + encode_frame(request.payload(sequence)))
        while True:
            for payload in self._decoder.feed(self._line.recv(65536)):
                op, _, answered = HEADER.unpack_from(payload)
                if answered == sequence and op in (request.op | REPLY, requests.NAK):
                    if op != requests.NAK:
                        self.last = sequence
                    return int(op)

    def sound(self) -> bool:
        """Whether it still answers as it should; what it said where it does not is in `report`."""
        try:
            return self.ask(requests.info(7), (self.last + 300) & 0xFFFF) == Op.INFO | REPLY
        except OSError:
            return False

    @property
    def report(self) -> str:
        """What the sanitizers said."""
        return self._said.read_text()

    def close(self) -> None:
        """End it."""
        self._line.close()
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


class Attacks:
    """Bytes that no host sends: noise, damaged frames, and whole frames of requests that mean harm.

    Args:
        plan: of a block, to be set up where it must not be.
        seed: decides what comes.
    """

    def __init__(self, plan: BlockPlan, seed: int) -> None:
        self._plan, self._chance, self._noise = plan, random.Random(seed), Noise(seed, 0.5)

    def one(self, firmware: SanitizedFirmware) -> None:
        """Do one thing to it."""
        chance = self._chance
        kind = chance.randrange(8)
        if kind == 0:
            firmware.send(chance.randbytes(chance.randrange(1, 1500)))
        elif kind == 1:
            firmware.send(self._noise.spoil(b"\0" + encode_frame(self._request().payload(firmware.last + 1))))
        elif kind == 2:
            firmware.send(encode_frame(chance.randbytes(chance.randrange(1100))))
        elif kind == 3:
            firmware.sound()  # a session of its own, so that requests are due
        elif kind == 4:
            self._put(firmware)
        else:
            firmware.ask(self._request())

    def _put(self, firmware: SanitizedFirmware) -> None:
        """A block that is whole, where chance puts it: many a time over another one."""
        content, slot, at = self._plan.encoded["step"], self._chance.randrange(4), 8 * self._chance.randrange(POOL // 8)
        for start in range(0, len(content), 900):
            firmware.ask(requests.write(slot, at + start, content[start : start + 900]))
        firmware.ask(self._set_up(slot, at, content))

    def _set_up(self, slot: int, at: int, content: bytes) -> requests.BoardRequest:
        state, arena = Span(self._place(8), self._plan.state_bytes), Span(self._place(8), self._plan.arena_bytes)
        none = (Span(0, 0), b"")
        return requests.set_up(
            slot, b"harmless", self._chance.randrange(4), state, arena, [(Span(at, len(content)), content), none, none]
        )

    def _place(self, unit: int = 1) -> int:
        chance = self._chance
        return (
            unit * chance.randrange(POOL // unit)
            if chance.random() < 0.8
            else chance.choice([POOL - 8, POOL, 1 << 31, (1 << 32) - 8])
        )

    def _request(self) -> requests.BoardRequest:
        chance, slot = self._chance, self._chance.choice([0, 1, 2, 3, 4, 255])
        kind = chance.randrange(8)
        if kind == 0:
            return requests.write(slot, self._place(), chance.randbytes(chance.randrange(900)))
        if kind == 1:
            return requests.read(slot, self._place(), chance.choice([0, 4, 1000, 1020, 1021, 65535]))
        if kind == 2:
            spans = [(Span(self._place(), chance.choice([0, 8, 1 << 31])), b"") for _ in range(chance.randrange(4))]
            return requests.run(slot, chance.randrange(5), chance.randrange(8), spans)
        if kind == 3:
            return requests.run(slot, 0, chance.randrange(8), ())
        if kind == 4:
            return self._set_up(slot, self._place(8), self._plan.encoded["step"][: chance.randrange(200)])
        if kind == 5:
            coding, data = chance.choice((BITS, EVENTS)), chance.randbytes(chance.choice([0, 1, 16, 900]))
            return requests.write_spikes(slot, self._place(), chance.choice([0, 8 * len(data), 600, 65535]), coding, data)
        if kind == 6:
            return requests.read_spikes(slot, self._place(), chance.choice([0, 1, 1000, 8152, 8153, 65535]))
        return requests.BoardRequest(chance.choice(list(Op)[1:]), slot, chance.randbytes(chance.randrange(60)))
