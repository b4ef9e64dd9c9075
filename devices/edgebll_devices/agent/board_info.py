"""What a board says about itself in its Welcome."""

from __future__ import annotations

import os
import platform

from edgebll.kernel.limits import own_bytes, read_memory, usable_cores, usable_processors
from edgebll.kernel.spec.runtime_names import SERIAL
from edgebll.kernel.version import __version__
from edgebll.kernel.wire import PROTOCOL_VERSION, Welcome
from edgebll_devices.agent.attached_boards import AttachedBoards
from edgebll_devices.agent.last_hosting import LastHosting
from edgebll_devices.storage.board_files import BoardFiles


class BoardInfo:
    """What one agent says of itself.

    Args:
        name: what the board calls itself.
        files: its state folder.
        serial_ports: of microcontrollers that host blocks for it.

    Attributes:
        hosting: the note of which blocks it hosts.

    Raises:
        StorageError: the state folder cannot be written.
    """

    def __init__(self, name: str, files: BoardFiles, serial_ports: tuple[str, ...] = ()) -> None:
        self._attached = AttachedBoards(serial_ports)
        self._name, self._identity = name, files.identity()
        self.hosting = LastHosting(files.hosting)
        self._idle_bytes = own_bytes()  # before it hosts anything: what it takes from now on is there for the next blocks

    def welcome(self, run: str, data_endpoint: str) -> Welcome:
        """Describe this machine for a run: processors, memory (bytes), runtimes, interpreter; and how it ended in it before.

        Args:
            run: identifier of the run that the host begins or goes on with.
            data_endpoint: where tokens arrive.
        """
        from edgebll_devices.runtimes import available_runtimes

        memory, killed = read_memory(), self.hosting.starved(run)
        here, attached = available_runtimes(), self._attached.memory()
        return Welcome(
            name=self._name,
            protocol=PROTOCOL_VERSION,
            version=__version__,
            data_endpoint=data_endpoint,
            cores=usable_cores(),
            memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            runtimes=tuple(name for name in here if name != SERIAL or attached),
            python=platform.python_version(),
            platform=platform.machine(),
            identity=self._identity,
            memory_limit_bytes=memory.limit_bytes,
            memory_limited_by=memory.limited_by,
            memory_free_bytes=memory.free_bytes + max(0, own_bytes() - self._idle_bytes),
            memory_pool=memory.pool,
            cpus=usable_processors(),
            starved=killed.blocks,
            starved_times=killed.times,
            microcontrollers=attached,
            microcontroller_profiles=self._attached.profiles(),
            microcontroller_plans=self._attached.plans(),
        )
