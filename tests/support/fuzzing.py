"""Coverage-guided fuzzing of one decoder with atheris, started by the files tests/soak/fuzz_*.py."""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path

import atheris

_PACKAGES = ["edgebll", "edgebll_devices", "edgebll_firmware_host"]
#: Of the whole process: the interpreter with its libraries, and a decoder's own cap.
_RSS_MB = 768
_SLOWEST_S = 5
_LONGEST_BYTES = 4096


def fuzz(decoder: str) -> None:
    """Feed `support.decoders.<decoder>` from its seeds on; SECONDS and more options of libFuzzer come from the command line.

    Ends the process: 0 after the time is over, otherwise something else than an EdgebllError came out, an input took longer
    than 5 s, or the process grew beyond 768 MB. The input is then left as crash-*, timeout-* or oom-* in the current folder.
    """
    with atheris.instrument_imports(include=_PACKAGES, enable_loader_override=False):
        decoders = importlib.import_module("support.decoders")
    from edgebll.kernel.errors import EdgebllError

    target = getattr(decoders, decoder)

    def one(data: bytes) -> None:
        try:
            target(data)
        except EdgebllError:
            return

    with tempfile.TemporaryDirectory(prefix=f"fuzz-{decoder}-") as corpus:
        for index, seed in enumerate(decoders.SEEDS[target]):
            Path(corpus, f"seed{index}").write_bytes(seed)
        seconds, *more = sys.argv[1:] or ["60"]
        line = [sys.argv[0], corpus, f"-max_total_time={seconds}", f"-rss_limit_mb={_RSS_MB}", f"-timeout={_SLOWEST_S}"]
        line += [f"-max_len={_LONGEST_BYTES}", "-print_final_stats=1", *more]
        atheris.Setup(line, one)
        atheris.Fuzz()
