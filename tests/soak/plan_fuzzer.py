"""`make fuzz-mcu SECONDS=60`: changed plans against the C runtime under AddressSanitizer and UndefinedBehaviorSanitizer."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))

from support.c_runtime import FLAGS, RUNTIME, compiler  # noqa: E402
from support.random_plans import random_plan  # noqa: E402

from edgebll.kernel.microcontroller.plan_format import encode  # noqa: E402

SANITIZERS = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")


def fuzz(seconds: int, seed: int, *flags: str) -> str:
    """What the fuzzer prints.

    Args:
        seconds: how long, but at least 20 000 plans.
        seed: of the plans and of what is changed in them.
        flags: further ones for the compiler.

    Raises:
        CalledProcessError: it found something; its report is on stderr.
    """
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "plan_fuzzer"
        sources = [*sorted(RUNTIME.glob("*.c")), Path(__file__).with_suffix(".c")]
        warnings = [flag for flag in FLAGS if not flag.startswith("-W")]
        subprocess.run([compiler(), *warnings, *SANITIZERS, *flags, *map(str, sources), "-o", str(program)], check=True)
        files = []
        for number in range(40):
            files.append(Path(folder) / f"{number}.plan")
            files[-1].write_bytes(encode(random_plan(Random(seed * 1000 + number), kernels=1 + number % 3)))
        done = subprocess.run([program, str(seconds), str(seed), *files], check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout


if __name__ == "__main__":
    print(fuzz(int(sys.argv[1]) if len(sys.argv) > 1 else 60, int(sys.argv[2]) if len(sys.argv) > 2 else 0))
