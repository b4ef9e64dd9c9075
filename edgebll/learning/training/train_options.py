"""What `edgebll train` is told, on the command line or from Python, as a `TrainConfig`; and what a resumed run may be told."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from edgebll.data.registry import settled_name
from edgebll.data.same_options import same_options
from edgebll.data.sampling import settled_sampling
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.limits import usable_cores
from edgebll.kernel.own_code import reference_of
from edgebll.kernel.support.option_values import parse_options
from edgebll.learning import is_one_block
from edgebll.learning.finetuning.tuning_options import TUNING_OPTIONS, tuning_of
from edgebll.learning.networks import usual_blocks
from edgebll.learning.networks.pretrained_weights import StartWeights
from edgebll.learning.networks.unit_network import INTO_BLOCKS
from edgebll.learning.training.config import TrainConfig

#: Options of the command that are options of the optimiser.
OPTIMIZER_SHORTHANDS = ("optimizer_option", "momentum", "nesterov", "weight_decay", "accumulate", "state_bits")
#: Options whose names are not those of the arguments.
_SPELLED = {"trainable": "--train"}


def config_of(options: Mapping[str, Any]) -> TrainConfig:
    """The config that these options of `edgebll train` mean.

    Args:
        options: all of them, by the names of the command's function.

    Raises:
        ConfigError: one is wrong.
    """
    values = dict(options)
    values["data_options"] = parse_options("data", values.pop("data_option"))
    values["task_options"] = parse_options("task", values.pop("task_option"))
    values["network_options"] = parse_options("network", values.pop("network_option"))
    if values["blocks"] is None and values["split"] in INTO_BLOCKS:
        values["blocks"] = 1 if is_one_block(values["rule"]) else usual_blocks(values["network"])
    if values["threads"] is None:
        values["threads"] = usable_cores()
    values["rule_options"] = parse_options("rule", values.pop("rule_option"))
    values["optimizer_options"] = optimizer_options(values)
    weights = StartWeights.of(values["weights"], values["weights_except"])
    others = (*OPTIMIZER_SHORTHANDS, *TUNING_OPTIONS, "weights", "weights_except")
    config = {name: value for name, value in values.items() if name not in others}
    return TrainConfig(**config, fine_tuning=tuning_of(values), weights=weights)


def check_same(recorded: TrainConfig, given: Mapping[str, Any]) -> None:
    """Refuse to go on with a run otherwise than it was started.

    Args:
        recorded: what it was started with.
        given: options given now.

    Raises:
        ConfigError: one of them is another one.
    """
    was = dataclasses.asdict(recorded)
    for name, value in given.items():
        option, old = "--" + name.replace("_", "-"), was.get(name)
        if name == "data":
            different = old != settled_name(value)
        elif name == "data_option":
            different = not same_options(recorded.data, recorded.data_options, parse_options("data", value))
        elif name == "sampling":
            different = old != settled_sampling(value)
        elif name in recorded.code:
            different = reference_of(value) != recorded.code[name].reference
        elif name == "task_option":
            different = _differs(recorded, task_options={**recorded.task_options, **parse_options("task", value)})
        elif name == "network_option":
            different = _differs(recorded, network_options={**recorded.network_options, **parse_options("network", value)})
        elif name == "rule_option":
            different = _differs(recorded, rule_options={**recorded.rule_options, **parse_options("rule", value)})
        elif name in OPTIMIZER_SHORTHANDS:
            options = {**recorded.optimizer_options, **optimizer_options({name: value})}
            different = _differs(recorded, optimizer_options=options)
        elif name == "weights":
            old = recorded.weights.file or "drawn ones"
            different = StartWeights.of(value, None).file != recorded.weights.file
        elif name == "weights_except":
            old = recorded.weights.left_out
            different = StartWeights.of("", value).left_out != old
        elif name in TUNING_OPTIONS:
            old, option = getattr(recorded.fine_tuning, name), _SPELLED.get(name, option)
            different = tuning_of({**was["fine_tuning"], name: value}) != recorded.fine_tuning
        else:
            different = old != value
        if different:
            old = "other values" if old is None else _shown(old)
            raise ConfigError(
                f"the run was started with {option} {old} and cannot go on with {_shown(value)}; leave {option} out"
            )


def _shown(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return " ".join(map(str, value)) or "nothing"
    return value


def _differs(recorded: TrainConfig, **changes: Any) -> bool:
    return dataclasses.replace(recorded, **changes).completed() != recorded.completed()


def optimizer_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The optimiser's options from the values of OPTIMIZER_SHORTHANDS; None is not given.

    A momentum of 0 turns Nesterov's variant off unless that is given too.

    Args:
        given: the values by name.

    Raises:
        ConfigError: a text is not KEY=VALUE, or an option is given twice.
    """
    options = parse_options("optimizer", given.get("optimizer_option"))
    for name in OPTIMIZER_SHORTHANDS[1:]:
        if given.get(name) is None:
            continue
        if name in options:
            raise ConfigError(f"the optimizer option {name} is given twice, by --{name.replace('_', '-')} too; leave one out")
        options[name] = given[name]
    if str(options.get("momentum")) in ("0", "0.0"):
        options.setdefault("nesterov", False)
    return options
