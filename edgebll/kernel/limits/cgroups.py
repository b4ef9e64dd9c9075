"""The control groups this process is in, as folders: its own and all above it, whose limits hold for it too.

https://docs.kernel.org/admin-guide/cgroup-v2.html, https://docs.kernel.org/admin-guide/cgroup-v1/memory.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from edgebll.kernel.support.whole_numbers import whole_number

V2 = "cgroup2"
_MAX_DEPTH = 64


@dataclass(frozen=True)
class Group:
    """One control group.

    Attributes:
        folder: where its files are.
        unified: whether it is one of version 2.
    """

    folder: Path
    unified: bool

    def text(self, name: str) -> str:
        """Content of one of its files; empty where there is none."""
        try:
            return (self.folder / name).read_text("ascii", "replace").strip()
        except OSError:
            return ""

    def number(self, name: str) -> int | None:
        """A number in one of its files; None where there is none, or it is "max"."""
        return whole_number(self.text(name))

    def table(self, name: str) -> dict[str, int]:
        """Numbers by name in one of its files, a pair a line."""
        pairs = [line.split() for line in self.text(name).splitlines()]
        numbers = {pair[0]: whole_number(pair[1]) for pair in pairs if len(pair) == 2}
        return {key: number for key, number in numbers.items() if number is not None}


def groups(controller: str, root: Path = Path("/")) -> list[Group]:
    """Control groups of this process for a controller of Linux ("memory", "cpu"), its own first, then those above it.

    Args:
        controller: which one.
        root: the file system, so that a test can hand in a folder for a machine.
    """
    found: list[Group] = []
    for unified, mount, inside, path in _mounted(controller, root):
        # In a namespace of its own a process sees paths that are not below what is mounted; then that is its own group.
        own = PurePosixPath(path)
        relative = own.relative_to(inside) if own.is_relative_to(inside) and ".." not in own.parts else PurePosixPath()
        folder = root / mount.lstrip("/")
        for depth in range(min(len(relative.parts), _MAX_DEPTH), -1, -1):
            found.append(Group(folder.joinpath(*relative.parts[:depth]), unified))
    return found


def _mounted(controller: str, root: Path) -> Iterator[tuple[bool, str, str, str]]:
    """For each hierarchy that may limit it: whether of version 2, where it is mounted, which group there, and our own group."""
    own = _own_groups(root)
    for line in _lines(root / "proc/self/mountinfo"):
        front, _, back = line.partition(" - ")
        before, after = front.split(), back.split()
        if len(before) < 5 or len(after) < 1:
            continue
        inside, mount = _plain(before[3]), _plain(before[4])
        options = after[2].split(",") if len(after) > 2 else []
        if after[0] == V2 and "" in own:
            yield True, mount, inside, own[""]
        elif after[0] == "cgroup" and controller in options and controller in own:
            yield False, mount, inside, own[controller]


def _own_groups(root: Path) -> dict[str, str]:
    """Controller -> our group by /proc/self/cgroup; version 2 is "" there."""
    own: dict[str, str] = {}
    for line in _lines(root / "proc/self/cgroup"):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for name in controllers.split(","):
            own.setdefault(name, path)
    return own


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []  # no Linux


def _plain(text: str) -> str:
    """A path of mountinfo, where blanks and such are written as octal numbers."""
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text
