"""What a trained network's forward pass takes: synaptic operations, sparsity and footprint by block, and an energy estimate."""
