"""A network of one's own on a laptop: two blocks, exported with their training steps, trained over two simulated boards."""

from __future__ import annotations

import torch
from torch import nn

import edgebll as eb


def make_network() -> eb.BlockNetwork:
    """Two convolutional blocks for 8 x 8 digits; any torch modules would do."""
    torch.manual_seed(0)
    first = nn.Sequential(nn.Conv2d(1, 16, 3, 1, 1), nn.BatchNorm2d(16), nn.ReLU())
    last = nn.Sequential(
        nn.Conv2d(16, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU(), nn.Flatten(), nn.Dropout(0.1), nn.Linear(512, 10)
    )
    return eb.BlockNetwork([first, last], num_classes=10, input_shape=(1, 8, 8))


def main() -> None:
    """Export, verify, train, evaluate."""
    network = make_network()
    optimizer = eb.SGD(lr=0.05, momentum=0.9)
    eb.export_bundle(network, rule=eb.BLL(), optimizer=optimizer, batch_size=32, path="own-bundle")
    report = eb.verify("own-bundle", network=network)
    print(f"{len(report.rows)} outputs of the graphs agree with the modules themselves")
    result = eb.simulate("own-bundle", "own-run", data="digits", epochs=3, boards=2)
    print(f"accuracy {result.accuracy:.1%}, states {result.state_sha256[:16]}")


if __name__ == "__main__":  # boards are processes that import this file
    main()
