"""Networks by name: those of edgebll, those of packages of models, and users' own modules and factories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from edgebll.kernel.own_code import CodeOrigin, Resolved, full_options, known_names, make, resolve
from edgebll.learning.networks.architecture import Architecture
from edgebll.learning.networks.model_packages import find_model
from edgebll.learning.networks.unit_network import UnitNetwork

KIND = "network"
#: What a class or factory may make, and what its parameters of these names are given.
BUILDABLE = (nn.Module, Architecture, UnitNetwork, list, tuple)
CONTEXT = ("num_classes", "input_shape", "side_inputs")
_WORDS = "a torch module, a list of modules (its blocks) or an Architecture"


@dataclass(frozen=True)
class NetworkRegistry:
    """All networks.

    Attributes:
        built_in: name -> class of those that edgebll brings.
    """

    built_in: Mapping[str, type[Architecture]]

    def names(self) -> list[str]:
        """Names that stand alone: those built in and those that installed packages offer."""
        return known_names(KIND, self.built_in)

    def find(self, name: str, recorded: CodeOrigin | None = None) -> Resolved:
        """What a name stands for: a model of a package, or see `edgebll.kernel.own_code.resolve`."""
        return find_model(name if recorded is None else recorded.reference) or resolve(KIND, name, self.built_in, recorded)

    def make(self, found: Resolved, options: Mapping[str, Any], context: Mapping[str, Any]) -> Any:
        """Make what a name stands for, one of BUILDABLE.

        Args:
            found: what `find` found.
            options: by name; a text is converted to its option's type.
            context: CONTEXT -> value.

        Raises:
            ConfigError: an option is wrong, or making it fails.
        """
        return make(found, KIND, options, BUILDABLE, context, words=_WORDS)

    def all_options(self, name: str, options: Mapping[str, Any], recorded: CodeOrigin | None = None) -> dict[str, Any]:
        """All options of a network, those left out too.

        Args:
            name: of the network.
            options: those given.
            recorded: where a run or a bundle says that it found the network.

        Raises:
            ConfigError: unknown name or option, or code that cannot be imported or has changed.
        """
        found = self.find(name, recorded)
        if isinstance(found.value, type) and issubclass(found.value, Architecture):
            made: Architecture = make(found, KIND, options, Architecture)
            return made.options()
        return full_options(found, KIND, options, CONTEXT)
