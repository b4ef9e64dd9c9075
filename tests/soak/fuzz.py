"""Runs every fuzzer beside this file for SECONDS each and says how many inputs each took: `make fuzz SECONDS=60`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path


def main(seconds: str) -> int:
    """Number of fuzzers that found something."""
    failed = 0
    for path in sorted(Path(__file__).parent.glob("fuzz_*.py")):
        result = subprocess.run([sys.executable, str(path), seconds], capture_output=True, text=True, check=False)
        runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", result.stderr)
        peak = re.search(r"stat::peak_rss_mb:\s*(\d+)", result.stderr)
        covered = re.findall(r"cov: (\d+)", result.stderr)
        if result.returncode or runs is None or peak is None:
            failed += 1
            print(f"{path.stem}: FAILED\n{result.stderr[-3000:]}", flush=True)
        else:
            print(f"{path.stem}: {runs[1]} inputs, coverage {covered[-1]}, at most {peak[1]} MB, nothing found", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "60"))
