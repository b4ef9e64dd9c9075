"""What docs/how-to/learn-in-your-own-firmware.md shows works as shown."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.c_library import LIBRARY, build_program, run
from support.c_runtime import FLAGS, ROOT, RUNTIME, compiler
from support.documents import Document
from support.gestures import EXAMPLE, gestures_bundle
from support.microcontroller_bundles import chunked_bundle

from edgebll_devices.microcontroller.block_as_c import block_as_c

PAGE = Document("docs/how-to/learn-in-your-own-firmware.md")
CPP = ("-x", "c++", "-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
pytestmark = pytest.mark.timeout(180)


@pytest.mark.slow
def test_the_commands_run_in_order_and_it_learns_as_well_as_the_page_says(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(EXAMPLE, tmp_path / "examples" / "microcontroller"))
    (tmp_path / "devices").symlink_to(ROOT / "devices")
    here = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    said: list[str] = []
    for words in PAGE.commands()[:5]:
        done = subprocess.run(words, cwd=folder, env=here, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, (words, done.stderr)
        said += [line for line in done.stdout.splitlines() if line.startswith(("from step", "step "))]
    right = {int(line.split()[1][:-1]): int(line.split()[2]) for line in said if "right" in line}
    assert "from step 300" in said
    assert f"right in {right[100]} of the first hundred, {right[200]} of the second and {right[400]} of the fourth" in PAGE.text
    assert Document("examples/microcontroller/README.md").commands() == [
        *PAGE.commands()[:3],
        ["build/gestures", "flash.bin", "1000"],
    ]


@pytest.mark.slow
def test_the_commands_for_int8_run_in_order(tmp_path: Path) -> None:
    here = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    learned = "--data digits --network mlp --blocks 2 --rule bll --epochs 1 --seed 0 --out runs/a".split()  # noqa: SIM905
    exported = ["edgebll", "export", "runs/a", "--target", "microcontroller", "--out", "bundles/mcu"]
    shown = [words for words in PAGE.commands() if "bundles/int8" in words]
    assert len(shown) == 3
    for words in (["edgebll", "train", *learned], exported, *shown):
        done = subprocess.run(words, cwd=tmp_path, env=here, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, (words, done.stderr)
    assert (tmp_path / "src" / "block1.c").is_file()


MAIN = """
int main(void)
{
    float x[48] = {0}, y[4] = {1};
    if (start()) return 1;
    learn(x, y);
    return !(block.metrics[0] > 0.0f);
}
"""
KEPT = """#include <stddef.h>
#include "edgebll_store.h"
#include "gestures.h"
int my_read(void *context, uint32_t at, void *to, uint32_t bytes);
int my_erase(void *context, uint32_t at);
int my_program(void *context, uint32_t at, const void *from, uint32_t bytes);
@
const void *use(void);
const void *use(void)
{
    record.step = flash.at;
    return &record;
}
"""
CUT = """#include "gestures.h"
void read_sensor(float x[GESTURES_TRAIN_X_COUNT]);
void go_on(struct edgebll_block *shared, float *x, const float *y);
static struct edgebll_block block;
void go_on(struct edgebll_block *shared, float *x, const float *y)
{
    block = *shared;
@
}
"""
SKETCH = """#include "edgebll_store.h"
#include "gestures.h"
const void *step() { return gestures.step; }
"""


def test_its_c_compiles_and_its_headers_do_in_c_plus_plus(tmp_path: Path) -> None:
    block_as_c(gestures_bundle(), "block0", "gestures").write(tmp_path)
    first, over_time, second = re.findall(r"```c\n(.*?)```", PAGE.text, re.DOTALL)
    (tmp_path / "main.c").write_text(first + MAIN)
    program = build_program(tmp_path / "shown", [tmp_path / "main.c", tmp_path / "gestures.c"])
    assert subprocess.run([str(program)], check=False).returncode == 0
    folders = [f"-I{folder}" for folder in (RUNTIME, LIBRARY, tmp_path)]
    block_as_c(chunked_bundle("decolle"), "block0", "gestures").write(tmp_path / "cut")
    (tmp_path / "cut" / "cut.c").write_text(CUT.replace("@", over_time))
    run([compiler(), *FLAGS, *folders[:2], "-fsyntax-only", str(tmp_path / "cut" / "cut.c")], tmp_path)
    for name, text, flags in (("kept.c", KEPT.replace("@", second), FLAGS), ("sketch.cpp", SKETCH, CPP)):
        (tmp_path / name).write_text(text)
        subprocess.run([compiler(), *flags, *folders, "-fsyntax-only", str(tmp_path / name)], check=True)
