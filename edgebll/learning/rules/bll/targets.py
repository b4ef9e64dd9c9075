"""What a block's features are matched to: the means of their classes, or what takes the label's part in it away.

    target         beta_n of a sample of class c of C
    class_mean     W_c, which follows m_c, the mean of the batch's samples of class c (see `BLL.feedback`)
    global_mean    W, one column for all classes, which follows the mean of the whole batch: no label in it
    zero           0
    shuffled       W_d with d = c + 1 + (target_seed mod (C - 1)) mod C: the mean of a wrong class, always the same one
    random_codes   code_scale times a vector of F normal numbers, of length sqrt(F), drawn once for each class
    simplex        code_scale sqrt(F) e_c with |e_c| = 1 and e_c . e_d = -1 / (C - 1): equal angles between all classes,
                   turned at random. It needs F >= C - 1 features.

Shuffled targets are a fixed derangement, which turns the classes by the same number of places; labels are not drawn anew for
each batch, for a step draws nothing. Codes differ from block to block by its index, and lie in the feedback head's state as W
does, where no step changes them: so the feedback graph, checkpoints and boards have them as they have fitted targets. The root
mean square of a code's numbers is code_scale. Equiangular codes are those that features of trained networks tend to (Papyan,
Han and Donoho, "Prevalence of neural collapse during the terminal phase of deep learning training", PNAS 2020).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from edgebll.kernel.errors import ConfigError

CLASS_MEAN, GLOBAL_MEAN, ZERO, SHUFFLED, RANDOM_CODES, SIMPLEX = TARGETS = (
    "class_mean",
    "global_mean",
    "zero",
    "shuffled",
    "random_codes",
    "simplex",
)
#: Those that are drawn.
CODES = (RANDOM_CODES, SIMPLEX)
#: Those that no batch changes.
FIXED = (ZERO, *CODES)
#: Those that are the same for all classes: W has one column.
WITHOUT_LABEL = (GLOBAL_MEAN, ZERO)


def columns(y: Tensor, target: str) -> Tensor:
    """Shares of classes (B, C) as shares of W's columns: of one column for all where the target tells none apart."""
    return y.sum(1, keepdim=True) if target in WITHOUT_LABEL else y


def asked(y: Tensor, target: str, seed: int) -> Tensor:
    """Shares of classes (B, C) as shares of the columns that samples are matched to."""
    if target != SHUFFLED:
        return columns(y, target)
    shift = shift_of(y.shape[1], seed)
    return torch.cat([y[:, -shift:], y[:, :-shift]], 1)


def shift_of(num_classes: int, seed: int) -> int:
    """By how many places shuffled targets turn the classes: from 1 to C - 1."""
    return 1 + seed % max(1, num_classes - 1)


def make_codes(target: str, features: int, num_classes: int, scale: float, seed: int, index: int) -> Tensor:
    """The codes of all classes as columns (F, C) in float32.

    Args:
        target: one of CODES.
        features: F.
        num_classes: C.
        scale: root mean square of a code.
        seed: of the rule.
        index: of the block.

    Raises:
        ConfigError: there are too few features for equal angles.
    """
    draw = np.random.RandomState([seed, index]).standard_normal  # the legacy stream never changes with numpy's version
    if target == RANDOM_CODES:
        unit = draw((num_classes, features))
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    else:
        if features < num_classes - 1:
            raise ConfigError(
                f"bll's target=simplex needs at least {num_classes - 1} features for {num_classes} classes, but block{index} "
                f"has {features}; widen the network, or use target=random_codes"
            )
        turned = np.linalg.qr(draw((features, num_classes - 1)))[0]
        unit = _simplex(num_classes) @ turned.T
    return torch.from_numpy((scale * math.sqrt(features) * unit.T).astype(np.float32))


def _simplex(num_classes: int) -> np.ndarray:
    """The corners of a regular simplex around the origin, each of length 1: (C, C - 1).

    With u_k, k = 1..C - 1, the orthonormal vectors (1, .., 1, -k, 0, .., 0) / sqrt(k (k + 1)), all orthogonal to (1, .., 1),
    corner c is sqrt(C / (C - 1)) (u_1c, .., u_{C-1}c).
    """
    corners = np.zeros((num_classes, num_classes - 1))
    for k in range(1, num_classes):
        corners[:k, k - 1] = 1.0
        corners[k, k - 1] = -k
        corners[:, k - 1] /= math.sqrt(k * (k + 1))
    return corners * math.sqrt(num_classes / max(1, num_classes - 1))
