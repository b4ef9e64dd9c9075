"""Backlink."""
