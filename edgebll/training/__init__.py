"""The sequential trainer, its checkpoints and runs. Needs torch."""

from __future__ import annotations

from edgebll.training.config import TrainConfig
from edgebll.training.evaluate import Evaluation, evaluate
from edgebll.training.loop import Listener
from edgebll.training.run import TrainedRun, load_run
from edgebll.training.trainer import resume, train

__all__ = ["Evaluation", "Listener", "TrainConfig", "TrainedRun", "evaluate", "load_run", "resume", "train"]
