"""Run files."""
