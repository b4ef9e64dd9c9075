"""NIR, the format in which tools for neuromorphic chips exchange networks: reading, simulating and writing its graphs."""
