"""Models of torchvision and timm by the names that those packages give them; neither is needed for anything else."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from types import ModuleType
from typing import Any

from torch import nn

from edgebll.kernel.errors import ConfigError, MissingExtraError
from edgebll.kernel.own_code import CodeOrigin, Resolved
from edgebll.kernel.own_code.error_place import described


@dataclass(frozen=True)
class ModelPackage:
    """A package of models.

    Attributes:
        module: that has the functions below.
        names: of the module, all names.
        make: of (module, name, number of classes, channels of the samples, options), a model with drawn weights.
    """

    module: str
    names: Callable[[Any], list[str]]
    make: Callable[[Any, str, int, int, Mapping[str, Any]], nn.Module]


def _torchvision(module: Any, name: str, classes: int, channels: int, options: Mapping[str, Any]) -> nn.Module:
    if channels != 3:
        raise ConfigError(
            f"torchvision's models take images of 3 channels, not {channels}; choose other data, or one of timm's"
        )
    made: nn.Module = module.get_model(name, **{"weights": None, "num_classes": classes, **options})
    return made


def _timm(module: Any, name: str, classes: int, channels: int, options: Mapping[str, Any]) -> nn.Module:
    made: nn.Module = module.create_model(name, **{"num_classes": classes, "in_chans": channels, **options})
    return made


#: What stands before the colon of a name -> the package.
PACKAGES: dict[str, ModelPackage] = {
    "torchvision": ModelPackage("torchvision.models", lambda module: list(module.list_models(module=module)), _torchvision),
    "timm": ModelPackage("timm", lambda module: list(module.list_models()), _timm),
}


def find_model(name: str) -> Resolved | None:
    """A model of a package, by "torchvision:NAME" or "timm:NAME"; None for other names.

    Args:
        name: e.g. "torchvision:mobilenet_v2".

    Raises:
        MissingExtraError: the package is not installed. ConfigError: it does not load, or has no such model.
    """
    where, colon, model = name.partition(":")
    if not colon or where not in PACKAGES:
        return None
    package = PACKAGES[where]
    module = _import(where, package)
    names = package.names(module)
    if model not in names:
        near = difflib.get_close_matches(model, names, n=3, cutoff=0.5)
        known = f"near are {', '.join(near)}" if near else f"it has {len(names)} others"
        raise ConfigError(f"{where} has no model {model!r}; {known}")
    return Resolved(name, partial(_made, package, module, model), CodeOrigin(name, package=f"{where} {version(where)}"))


def _made(
    package: ModelPackage, module: ModuleType, model: str, num_classes: int, input_shape: tuple[int, ...], **options: Any
) -> nn.Module:
    if len(input_shape) != 3:
        raise ConfigError(f"{model} takes images (channels, height, width), not samples of shape {input_shape}")
    return package.make(module, model, num_classes, input_shape[0], options)


def _import(where: str, package: ModelPackage) -> ModuleType:
    try:
        return importlib.import_module(package.module)
    except ModuleNotFoundError as error:
        missing = (error.name or where).partition(".")[0]
        raise MissingExtraError(f"models of {where} need {missing}, which is not installed: pip install {missing}") from error
    except Exception as error:  # a build for another torch
        reason = described(error)
        raise ConfigError(f"{where} does not load beside this torch ({reason}); install the build that fits it") from error
