"""The network of the example: one block that learns four gestures from 16 readings of an accelerometer of three axes.

python make_bundle.py        writes the folder bundle
"""

import torch
from torch import nn

import edgebll as eb
from edgebll_export import make_target

torch.manual_seed(0)
layers = nn.Sequential(nn.Conv1d(3, 12, 5), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(12, 4))
eb.export_bundle(
    eb.BlockNetwork([layers], num_classes=4, input_shape=(3, 16)),
    rule=eb.make_rule("backprop"),
    optimizer=eb.SGD(lr=0.01, momentum=0.9),
    batch_size=1,
    path="bundle",
    target=make_target("microcontroller"),
)
