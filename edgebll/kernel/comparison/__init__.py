"""Comparing runs that differ in their options, over runs that differ in their seeds: what is a result, and what is chance."""
