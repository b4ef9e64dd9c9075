"""Networks that learn on small boards. Imports nothing heavy: this package loads on every board."""

__version__ = "0.1.0"
