"""Headers of ONNX Runtime's C API, which its wheels do not have: from the machine, or unpacked from Debian's package.

    python -m support.onnxruntime_headers FOLDER        (make cpp-headers; a few seconds, asks Debian's mirror)

Nothing is installed. A header works with every library that is as new or newer; Debian's is older than the wheels.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import onnxruntime

from support.arm64_root import KEYRING, debian_mirror, fetch, unpack
from support.documents import ROOT
from support.other_machines import CannotRunError, run, say

PACKAGE, SUITE = "libonnxruntime-dev", "trixie"
HEADER = "onnxruntime_c_api.h"
#: Where `make cpp-headers` puts them.
FOLDER = ROOT / "build" / "onnxruntime-headers"
_ON_MACHINES = (Path("/usr/include/onnxruntime"), Path("/usr/local/include/onnxruntime"))


def find_headers() -> Path | None:
    """The folder with the header: ONNXRUNTIME_INCLUDE, what was fetched, or the machine's own; None if there is none."""
    named = os.environ.get("ONNXRUNTIME_INCLUDE")
    places = [Path(named)] if named else [FOLDER / "usr" / "include" / "onnxruntime", *_ON_MACHINES]
    return next((place for place in places if (place / HEADER).is_file()), None)


def link_library(folder: Path) -> Path:
    """A link to the library in this Python's ONNX Runtime, under the name that programs look for when they start."""
    (library,) = (Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*")
    link = folder / "libonnxruntime.so.1"
    link.symlink_to(library)
    return link


def fetch_headers(folder: Path) -> None:
    """Download and unpack Debian's package below `folder`.

    Raises:
        CannotRunError: this is no Debian, or the mirror cannot be reached.
    """
    if shutil.which("apt-get") is None or not KEYRING.exists():
        raise CannotRunError(f"fetching {PACKAGE} needs apt and Debian's keyring; set ONNXRUNTIME_INCLUDE instead")
    architecture = run(["dpkg", "--print-architecture"]).strip()
    scratch = folder.with_name(folder.name + ".apt")
    try:
        unpack(fetch(scratch, architecture, debian_mirror(), (PACKAGE,), alone=True, suite=SUITE), folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def main() -> None:
    """Fetch what is not here; that it cannot be is told, and no error: the test that needs it then says so."""
    if find_headers() is None:
        try:
            fetch_headers(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
        except CannotRunError as error:
            say(f"without {HEADER}: {error}")


if __name__ == "__main__":
    main()
