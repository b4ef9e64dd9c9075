"""Blocks in a program of one's own: load them from a bundle, train them, predict. A board needs no torch for this."""

from __future__ import annotations

import contextlib

import numpy as np

import edgebll as eb


def bundle_of_two_blocks() -> str:
    """Made once, on the machine that has torch."""
    network = eb.make_network("mlp", num_blocks=2, num_classes=3, input_shape=(4,), seed=0)
    eb.export_bundle(network, rule=eb.BLL(), optimizer=eb.SGD(lr=0.1), batch_size=24, path="small-bundle")
    return "small-bundle"


def samples(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A batch of three clouds of points: x (24, 4) float32, and the number of each one's cloud (24,)."""
    labels = generator.integers(0, 3, 24)
    centres = np.array([[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 2]], np.float32)
    x = centres[labels] + 0.3 * generator.standard_normal((24, 4), dtype=np.float32)
    return x.astype(np.float32), labels


def main() -> None:
    """Train both blocks on 100 batches, then see how many of a new batch they know."""
    bundle = bundle_of_two_blocks()
    generator = np.random.default_rng(0)
    with contextlib.ExitStack() as stack:
        blocks = [stack.enter_context(eb.load_block(bundle, number)) for number in range(2)]
        for _ in range(100):
            a, y = samples(generator)
            for block in blocks:  # each learns from its own loss, and hands its output on
                a, metrics = block.train(a, y, lr=0.1)
        a, y = samples(generator)
        for block in blocks:
            a = block.predict(a)
    known = float((a.argmax(1) == y).mean())
    print(f"last loss {metrics['loss']:.3f}, {known:.0%} of a new batch known")


if __name__ == "__main__":
    main()
