"""`make fuzz-mcu SECONDS=60`: bytes on its line against the firmware under AddressSanitizer and UndefinedBehaviorSanitizer."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))

from support.microcontroller_bundles import microcontroller_bundle  # noqa: E402
from support.sanitized_firmware import Attacks, SanitizedFirmware  # noqa: E402

from edgebll.kernel.microcontroller import plan_block  # noqa: E402


def fuzz(seconds: int, seed: int) -> int:
    """How many attacks it stood.

    Args:
        seconds: how long.
        seed: of the attacks.

    Raises:
        SystemExit: it broke; says what the sanitizers found.
    """
    attacks = Attacks(plan_block(microcontroller_bundle("mlp"), "block1"), seed)
    count = 0
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(SanitizedFirmware(Path(folder))) as firmware:
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            try:
                attacks.one(firmware)
            except OSError:
                break
            count += 1
        if not firmware.sound() or firmware.report:
            raise SystemExit(f"attack {count} of seed {seed} broke the firmware:\n{firmware.report}")
    return count


if __name__ == "__main__":
    print(fuzz(int(sys.argv[1]) if len(sys.argv) > 1 else 60, int(sys.argv[2]) if len(sys.argv) > 2 else 0), "attacks")
