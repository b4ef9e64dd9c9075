"""Fine-tuning: which parts of a network are trained, and how."""
