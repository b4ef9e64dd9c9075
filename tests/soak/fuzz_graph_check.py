"""Fuzzes what looks through ONNX files: `python tests/soak/fuzz_graph_check.py SECONDS`, or all with `make fuzz`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.fuzzing import fuzz

if __name__ == "__main__":
    fuzz("graph_check")
