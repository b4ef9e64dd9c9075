"""What boards and the links between them take, measured before a run."""
