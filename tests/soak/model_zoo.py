"""Common models of torchvision and timm as networks of blocks: exported, trained by their graphs, compared. `make model-zoo`.

    python tests/soak/model_zoo.py [WORDS ...]    only models whose names hold one of the words; the others' rows stay

Both packages are optional and nothing is installed; what is missing is said, and its rows stay as they are. Each model is cut
into blocks and exported under the greedy rule; its graphs take six steps in a row on ONNX Runtime beside the model's own
modules in plain PyTorch (support/model_training.py); then `edgebll-board verify` replays the golden vectors. Writes
docs/reference/model-zoo.md.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import warnings
from importlib.metadata import version
from pathlib import Path

PROJECT = Path(__file__).parents[2]
sys.path.insert(0, str(PROJECT / "tests"))

import torch  # noqa: E402
from support.model_training import BATCH, LR, largest_errors  # noqa: E402
from support.model_zoo import CLASSES, MODELS, Model, build, load  # noqa: E402

from edgebll.kernel.bundle import open_bundle  # noqa: E402
from edgebll.kernel.errors import EdgebllError  # noqa: E402
from edgebll.learning import SGD, make_rule  # noqa: E402
from edgebll.learning.networks.cutting.cut_module import cut_module  # noqa: E402
from edgebll_export import export_bundle  # noqa: E402

PAGE = PROJECT / "docs" / "reference" / "model-zoo.md"
BOARD = Path(sys.executable).with_name("edgebll-board")
#: The graphs may be so far off, or so many times as far as PyTorch's own float32.
LIMIT, TIMES = 1e-3, 10
_INTRO = """# Models of torchvision and timm

Models that people put on edge devices, as they come from their packages but for sizes: images of 64 x 64, and where a name says
"small" less width and depth. Each is cut into blocks where one tensor holds all that is computed so far, and exported under the
greedy rule. "ok": six training steps in a row of the blocks' graphs on ONNX Runtime end where plain PyTorch ends, and
`edgebll-board verify` agrees. Errors are the largest of any tensor, against plain PyTorch in float64, relative to how far the
tensor moved. Beside it stands the largest of PyTorch in float32, on the images and on images that are off by rounding: where
that is large, ReLUs at their kink and batch norms of few values make much of little. "as near as PyTorch": the graphs' error
is above 1e-3, and in no block more than ten times that.

`make model-zoo` tries them all and writes this page; the packages are not installed by it.
"""
_HEAD = "| model | blocks | result | largest error | PyTorch's |\n|---|---|---|---|---|"


def attempt(model: Model, package: object) -> tuple[str, str, str, str]:
    """The cells behind a model's name."""
    shape = (3, model.side, model.side)
    module = build(model, package)  # type: ignore[arg-type]
    try:
        network = cut_module(module, "the model", model.blocks, "even", CLASSES, shape)
    except EdgebllError as error:
        return "", f"refused: {error}", "", ""
    blocks = list(network.blocks)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bundle"
        try:
            optimizer = SGD(lr=LR, momentum=0.0, nesterov=False, weight_decay=0.0)
            export_bundle(network, rule=make_rule("greedy", head_size=1), optimizer=optimizer, batch_size=BATCH, path=path)
        except EdgebllError as error:
            return str(len(blocks)), f"refused: {error}", "", ""
        errors = largest_errors(blocks, open_bundle(path))
        verified = subprocess.run([BOARD, "verify", path], capture_output=True, text=True, check=False)
    result = "ok" if max(ours for ours, _ in errors) <= LIMIT else "as near as PyTorch"
    if any(ours > max(LIMIT, TIMES * theirs) for ours, theirs in errors):
        result = "differs"
    if verified.returncode:
        result += f", but verify says: {(verified.stderr or verified.stdout).strip().splitlines()[-1]}"
    ours, theirs = (max(column) for column in zip(*errors, strict=True))
    return str(len(blocks)), result, f"{ours:.1e}", f"{theirs:.1e}"


def read_rows(text: str) -> dict[str, tuple[str, ...]]:
    """Model -> cells, from the page's table."""
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    return {cells[0].strip(): tuple(cell.strip() for cell in cells[1:]) for cells in lines[1:]}


def page(rows: dict[str, tuple[str, ...]], versions: str) -> str:
    """The page of these rows, in the order of MODELS."""
    table = [f"| {name} | {' | '.join(rows[name])} |" for name in MODELS if name in rows]
    return "\n".join([_INTRO, f"Last tried with {versions}.\n", _HEAD, *table]) + "\n"


def main(words: list[str]) -> int:
    """Try models and write the page; 1 if one gives other results or an error that is no sentence."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    packages = {name: load(name) for name in ("torchvision", "timm")}
    for name in [name for name, package in packages.items() if package is None]:
        print(f"{name} is not installed: its models are left out (pip install {name})", file=sys.stderr)
    rows = read_rows(PAGE.read_text()) if PAGE.exists() else {}
    bad = 0
    for name, model in MODELS.items():
        package = packages[model.package]
        if package is None or not any(word in name for word in words or [""]):
            continue
        start = time.monotonic()
        try:
            rows[name] = attempt(model, package)
        except Exception as error:  # what has no sentence of its own is a fault
            rows[name] = ("", f"fails: {type(error).__name__}: {str(error).strip().splitlines()[0][:200]}", "", "")
        bad += not rows[name][1].startswith(("ok", "as near", "refused"))
        print(f"{name}: {' | '.join(rows[name])} ({time.monotonic() - start:.0f} s)", flush=True)
        found = [package for package, module in packages.items() if module is not None]
        PAGE.write_text(page(rows, ", ".join(f"{package} {version(package)}" for package in ("torch", *found))))
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
