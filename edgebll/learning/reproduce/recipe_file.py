"""Reading recipes: those that come with edgebll, and a user's own. No torch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.bounds import SEEDS
from edgebll.kernel.support.toml_files import read_toml
from edgebll.learning.reproduce.grid import expanded
from edgebll.learning.reproduce.recipe import ACCURACY, COST, Recipe

RECIPES = Path(__file__).parent / "recipes"


def read_recipe(table: str) -> Recipe:
    """Read a recipe; rules with a grid are taken apart.

    Args:
        table: the name of one that comes with edgebll, or the path of a TOML file.

    Raises:
        ConfigError: there is no such table, or the file is not a recipe.
    """
    path = RECIPES / f"{table}.toml"
    if table not in recipe_names():
        path = Path(table)
        if path.suffix != ".toml":
            raise ConfigError(f"there is no table {table!r}; choose {', '.join(recipe_names())}, or give a recipe as FILE.toml")
    recipe = read_toml(Recipe, path, "give a recipe file, see docs/how-to/compare-rules.md")
    rules = expanded(recipe.rules, path.name)
    recipe = replace(recipe, name=path.stem, title=recipe.title or path.stem, rules=rules)
    _check(recipe)
    return recipe


def recipe_names() -> list[str]:
    """Tables that come with edgebll."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def _check(recipe: Recipe) -> None:
    """Raise ConfigError where the parts of a recipe do not fit each other."""
    where = f"{recipe.name}.toml"
    if recipe.kind not in (ACCURACY, COST):
        raise ConfigError(f"{where}: kind must be {ACCURACY} or {COST}, not {recipe.kind!r}")
    _distinct(f"{where}: settings", [setting.name for setting in recipe.settings])
    _distinct(f"{where}: rules", [row.name for row in recipe.rules])
    rules, settings = [row.name for row in recipe.rules], [setting.name for setting in recipe.settings]
    counts = {count for setting in recipe.settings for count in setting.blocks}
    _known(f"{where}: baseline", [recipe.baseline] if recipe.baseline else [], rules)
    SEEDS.check(f"{where}: seeds", recipe.seeds)
    for name in recipe.scales:
        scale = recipe.scale(name)
        _known(f"{where}: {name}.settings", scale.settings, settings)
        _known(f"{where}: {name}.blocks", scale.blocks, counts)
        _known(f"{where}: {name}.rules", scale.rules, rules)
        if scale.seeds is not None:
            SEEDS.check(f"{where}: {name}.seeds", scale.seeds)
    for published in recipe.published:
        _known(f"{where}: published.setting", [published.setting], settings)
        _known(f"{where}: published.values", published.values, rules)
        _known(f"{where}: published.spreads", published.spreads, published.values)


def _distinct(what: str, names: Sequence[str]) -> None:
    if not names:
        raise ConfigError(f"{what}: a recipe needs at least one")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"{what}: {twice!r} is there twice; give each a name of its own")


def _known(what: str, names: Iterable[object], known: Collection[object]) -> None:
    for name in names:
        if name not in known:
            raise ConfigError(f"{what}: unknown {name!r}; known are {', '.join(map(str, known))}")
