"""Cutting any module into blocks, at boundaries of its layers where one tensor holds all that is computed so far."""
