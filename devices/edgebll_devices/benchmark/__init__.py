"""How fast this board computes a model or a block, and in how much memory."""
