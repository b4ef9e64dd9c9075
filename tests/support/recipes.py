"""A tiny recipe on digits, and changes to it."""

from __future__ import annotations

from pathlib import Path

TINY = """
title = "Tiny table"
text = "Two rules on digits."
baseline = "BP"
notes = ["A note."]

[full]
words = ""
seeds = 2
train = { epochs = 3, batch_size = 32, lr = 0.02 }

[small]
words = "2 epochs instead of 3, the first 320 images."
train = { epochs = 2, batch_size = 32, lr = 0.02, limit = 320, checkpoint_steps = 4 }

[[settings]]
name = "digits MLP"
blocks = [2, 3]
train = { data = "digits", network = "mlp", network_options = { width = 16, depth = 3 } }

[[rules]]
name = "BP"
rule = "backprop"
one_block = true

[[rules]]
name = "Local"
rule = "bll"
options = { match = 2.0 }

[[published]]
source = "Somebody 2020, Table 1"
setting = "digits MLP"
error = true
values = { BP = [5.0], Local = [7.0, 8.5] }
spreads = { Local = [0.5] }

[sources]
data = "Somebody 2020"
network = "Somebody 2020"
mlp = "Somebody 2020"
epochs = "Somebody 2020"
limit = "all of it"
split = "ours"
batch_size = "ours"
optimizer = "ours"
sgd = "ours"
lr = "ours: 0.1 was worse"
schedule = "ours"
warmup_steps = "ours"
precision = "ours"
augment = "ours"
backprop = "ours"
bll = "ours"
"bll.match" = "Somebody 2020"
"""


def write_recipe(folder: Path, *changes: tuple[str, str]) -> Path:
    """Write the tiny recipe into a folder, each (old, new) text replaced."""
    path = folder / "tiny.toml"
    text = TINY
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, "utf-8")
    return path
