"""Memory of learning over time: peaks of a process that trains a spiking block on samples of 10, 100 and 1000 time steps.

    .venv/bin/python bench/online_memory.py

Each case is a process of its own: the first block of spiking-mlp (width 256, samples of T x 64, batches of 16) in PyTorch, one
sample whole (greedy learning, backpropagation through time within the block) or in chunks of 5 time steps (DECOLLE). A peak is
what the process needs above what it needs before its first step; samples themselves, T x 64 numbers each, are not counted,
for each step makes its own.
"""

from __future__ import annotations

import json
import subprocess
import sys

LENGTHS, BATCH, FEATURES, CHUNK = (10, 100, 1000), 16, 64, 5
CASES = ("greedy", "decolle")


def main() -> None:
    """Print a row of MB for each case."""
    if len(sys.argv) > 1:
        print(json.dumps(_measured(sys.argv[1], int(sys.argv[2]))))
        return
    print("| rule | " + " | ".join(f"T = {length}" for length in LENGTHS) + " |")
    print("|---" * (len(LENGTHS) + 1) + "|")
    for case in CASES:
        cells = []
        for length in LENGTHS:
            done = subprocess.run([sys.executable, __file__, case, str(length)], check=True, capture_output=True, text=True)
            cells.append(f"{json.loads(done.stdout) / 1e6:.1f}")
        print(f"| {case} | {' | '.join(cells)} |", flush=True)


def _measured(rule: str, length: int) -> int:
    """Peak bytes of the training steps of two samples of so many time steps."""
    import torch

    from edgebll.kernel.limits.resident_peak import ResidentPeak
    from edgebll.learning import SGD, make_rule, make_steps
    from edgebll.learning.networks import make_network

    torch.set_num_threads(1)
    options = {} if rule == "greedy" else {"chunk": CHUNK}
    network = make_network("spiking-mlp", num_blocks=2, num_classes=10, input_shape=(length, FEATURES), seed=0)
    step = make_steps(network, make_rule(rule, **options), SGD(), BATCH)[0]
    state, y = step.initial_state(), torch.eye(10)[torch.arange(BATCH) % 10]
    chunks = step.spec.chunks
    counter = ResidentPeak()
    counter.reset()
    for index in range(2 * chunks):
        x = torch.randn(BATCH, length // chunks, FEATURES)
        scalars = {"lr": torch.tensor(0.05), "reset": torch.tensor(float(index % chunks == 0))}
        state = step(state, x, y, scalars).state
    return counter.peak()


if __name__ == "__main__":
    main()
