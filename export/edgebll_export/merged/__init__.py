"""One model of a whole trained network: its blocks joined, with the weights inside."""
