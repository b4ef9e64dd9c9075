"""Which options of BLL go together, and with which tasks and places; each refusal is one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.tasks import Task
from edgebll.learning.folded import MAX_AXES
from edgebll.learning.objective import BlockPlace
from edgebll.learning.rules.bll import schedule, targets

if TYPE_CHECKING:
    from edgebll.learning.rules.bll.rule import BLL

#: Latent variables that are spikes.
SPIKES = ("bernoulli", "poisson")
#: Option -> the words that it takes.
WORDS = {
    "pool": ("avg", "max", "std", "none"),
    "normalize": ("none", "center_l2", "layer_norm"),
    "match_on": ("raw", "centred", "standardised"),
    "match_schedule": schedule.SCHEDULES,
    "target": targets.TARGETS,
    "variance": ("fixed", "learned"),
    "latent": ("gaussian", *SPIKES),
    "head": ("linear", "conv", "auglocal", "bayes"),
    "decorrelate_pairs": ("all", "different"),
    "feedback": ("lstsq", "ema", "sgd", "chain"),
    "feedback_activation": ("tanh", "none"),
}
#: Options whose words do not all go with spikes as latent variables -> those that do.
_WITH_SPIKES = {
    "pool": ("avg", "none"),
    "normalize": ("none",),
    "match_on": ("raw",),
    "variance": ("fixed",),
    "target": (targets.CLASS_MEAN, targets.GLOBAL_MEAN, targets.SHUFFLED),
    "head": ("linear", "conv", "auglocal"),
    "feedback": ("lstsq", "ema"),
}
_NOT_NEGATIVE = (
    *("match", "match_growth", "predict", "predict_growth", "decorrelate", "ridge", "entropy", "spread"),
    *("decorrelate_channels", "reconstruct", "reconstruct_decay", "match_steps", "target_seed", "trace"),
)


def check_options(rule: BLL) -> None:
    """Raise ConfigError for an option that is out of range, or that says nothing beside the others."""
    for name, known in WORDS.items():
        if getattr(rule, name) not in known:
            raise ConfigError(f"BLL's {name} must be one of {', '.join(known)}, not {getattr(rule, name)!r}")
    for name in _NOT_NEGATIVE:
        if getattr(rule, name) < 0:
            raise ConfigError(f"BLL's {name} must not be negative, but is {getattr(rule, name)}")
    for name in ("sigma", "code_scale"):
        if getattr(rule, name) <= 0:
            raise ConfigError(f"BLL's {name} must be above 0, but is {getattr(rule, name)}")
    for name in ("head_size", "aux_depth"):
        if getattr(rule, name) < 1:
            raise ConfigError(f"BLL's {name} must be at least 1, but is {getattr(rule, name)}")
    if not 0 <= rule.soften < 1:
        raise ConfigError(f"BLL's soften must lie in [0, 1), but is {rule.soften}")
    if not 0 <= rule.feedback_momentum <= 1:
        raise ConfigError(f"BLL's feedback_momentum must lie in [0, 1], but is {rule.feedback_momentum}")
    if rule.match == 0 and rule.predict == 0:
        raise ConfigError("BLL needs match or predict above 0: without both, the label never reaches the block")
    if rule.predict == 0 and rule.target in targets.WITHOUT_LABEL:
        raise ConfigError(f"BLL needs predict above 0 with target={rule.target}, for no label is in that target")
    _check_together(rule)


def _check_together(rule: BLL) -> None:
    for name, words in _WITH_SPIKES.items() if rule.latent in SPIKES else ():
        if getattr(rule, name) not in words:
            raise ConfigError(
                f"BLL's latent={rule.latent} does not go with {name}={getattr(rule, name)}, for targets and what is matched "
                f"are firing rates there; use {name}={' or '.join(words)}, or latent=gaussian"
            )
    if rule.feedback == "chain":
        if not (rule.match > 0 and 0 < rule.feedback_lr < 1):
            raise ConfigError("BLL's chained feedback needs match above 0 and feedback_lr between 0 and 1")
        if rule.target != targets.CLASS_MEAN:
            raise ConfigError(f"BLL's feedback=chain learns its targets, so target={rule.target} does not go with it; use ema")
    if rule.match_schedule != schedule.CONSTANT and not rule.match:
        raise ConfigError(f"BLL's match_schedule={rule.match_schedule} needs match above 0, but that is 0")
    if rule.head == "bayes" and rule.target in targets.WITHOUT_LABEL:
        raise ConfigError(
            f"BLL's head=bayes tells classes apart by their targets, which are one with target={rule.target}; use head=linear"
        )
    if rule.match_on != "raw" and rule.target == targets.GLOBAL_MEAN:
        raise ConfigError(f"BLL's match_on={rule.match_on} makes the global mean zero; use target=zero, which says the same")


def check_served(rule: BLL, task: Task) -> None:
    """Raise ConfigError if the options speak of classes, or of pairs of samples, and the task has none or too many."""
    if rule.head == "auglocal" and task.per_pixel:
        raise ConfigError(f"bll's head=auglocal pools whole maps, which does not serve {task.name}; use head=linear")
    if rule.reconstruct and task.per_pixel:
        raise ConfigError(f"bll's reconstruct takes a block's map whole, which does not serve {task.name}; leave it at 0")
    if rule.feedback == "chain" and task.per_pixel:
        raise ConfigError(f"bll's chained feedback keeps a target for each class alone, unlike {task.name}; use feedback=ema")
    if rule.decorrelate and task.per_pixel:
        raise ConfigError(f"bll's decorrelate compares all pairs of samples, too many for {task.name}; leave it at 0")
    if task.classes:
        return
    for name, asked, instead in (
        ("chained feedback keeps a target for each class", rule.feedback == "chain", "use feedback=ema"),
        (f"latent={rule.latent} has the mean rates of classes for targets", rule.latent in SPIKES, "use gaussian"),
        (f"target={rule.target} speaks of classes", rule.target != targets.CLASS_MEAN, "use class_mean"),
        ("head=bayes tells classes apart", rule.head == "bayes", "use head=linear"),
        ("soften shares a label among classes", rule.soften > 0, "leave it at 0"),
        (
            "decorrelate_pairs=different needs classes",
            rule.decorrelate > 0 and rule.decorrelate_pairs == "different",
            "use all",
        ),
    ):
        if asked:
            raise ConfigError(f"bll's {name}, which {task.name} has not; {instead}")


def check_place(rule: BLL, place: BlockPlace, input_dtype: str) -> None:
    """Raise ConfigError if the options do not serve a block that is not the last one.

    Args:
        rule: the options.
        place: of the block in its network, before positions or axes are folded.
        input_dtype: of the block's input.
    """
    for asked, option, without in (
        (rule.latent in SPIKES, f"latent={rule.latent}", "latent=gaussian"),
        (rule.trace > 0, f"trace={rule.trace:g}", "trace=0"),
    ):
        if asked and not place.time_steps:
            raise ConfigError(
                f"bll's {option} is of firing rates, but block{place.index} gives no spikes over time; use a spiking network, "
                f"e.g. spiking-mlp, or {without}"
            )
    positions = f"each of {place.positions} positions is a sample with a label"
    if rule.head == "auglocal" and (place.positions or len(place.output_shape) > 1 + MAX_AXES):
        why = positions if place.positions else f"block{place.index} gives {len(place.output_shape)} axes"
        raise ConfigError(
            f"bll's head=auglocal takes samples whole, with up to {MAX_AXES} axes of space, but {why}; use head=linear"
        )
    if rule.reconstruct and place.positions:
        raise ConfigError(f"bll's reconstruct takes a block's input whole, but {positions}; leave it at 0")
    if rule.reconstruct and input_dtype in ("int64", "int32", "bool"):
        raise ConfigError(
            f"bll's reconstruct needs numbers to rebuild, but block{place.index} takes {input_dtype}; leave it at 0"
        )
