"""Fuzzes replies of microcontrollers: `python tests/soak/fuzz_board_reply.py SECONDS`, or all of them with `make fuzz`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.fuzzing import fuzz

if __name__ == "__main__":
    fuzz("board_reply")
