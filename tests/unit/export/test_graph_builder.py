"""What the graph builder saves: equal nodes, stored broadcasts."""

import torch
from support.graphs import to_model


def test_equal_nodes_are_made_once() -> None:
    model = to_model(lambda x: ((x + 1) * (x + 1), (x + 1)), [torch.randn(3)])
    assert [node.op_type for node in model.graph.node].count("Add") == 1


def test_broadcasts_are_not_stored() -> None:
    model = to_model(lambda x: (x * x.mean(1, keepdim=True).expand(3, 4),), [torch.randn(3, 4)])
    assert "Expand" not in {node.op_type for node in model.graph.node}
