"""The sequential trainer, its checkpoints and runs. Needs torch."""

from __future__ import annotations

from edgebll.kernel.runs.listener import Listener
from edgebll.learning.training.config import TrainConfig
from edgebll.learning.training.evaluate import Evaluation, evaluate
from edgebll.learning.training.trained_run import TrainedRun, load_run
from edgebll.learning.training.trainer import resume, train

__all__ = ["Evaluation", "Listener", "TrainConfig", "TrainedRun", "evaluate", "load_run", "resume", "train"]
