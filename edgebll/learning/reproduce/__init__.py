"""Reproducing the papers' tables: recipes, the runs they ask for, and the report beside the published figures.

A recipe is one TOML file under `recipes/`; `recipe` reads it, `cells` says which runs it asks for, `runner` does them,
`results` gathers what came out and `report` writes it down.
"""
