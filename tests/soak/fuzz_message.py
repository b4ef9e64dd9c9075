"""Fuzzes whole messages, one seed a message type: `python tests/soak/fuzz_message.py SECONDS`, or all with `make fuzz`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.fuzzing import fuzz

if __name__ == "__main__":
    fuzz("message")
