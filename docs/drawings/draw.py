"""Write all drawings of the documentation beside their scripts: `make drawings`."""

from __future__ import annotations

from pathlib import Path

import batch_life
import fine_tuning
import recovery
import rooms
import system

FOLDER = Path(__file__).parent
DRAWINGS = {
    "batch-life": batch_life.draw,
    "fine-tuning": fine_tuning.draw,
    "recovery": recovery.draw,
    "rooms": rooms.draw,
    "system": system.draw,
}


def main() -> None:
    """Write the files."""
    for name, draw in DRAWINGS.items():
        (FOLDER / f"{name}.svg").write_text(draw(), "utf-8")


if __name__ == "__main__":
    main()
