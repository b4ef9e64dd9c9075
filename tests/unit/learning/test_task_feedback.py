"""BLL's feedback head for targets that are no classes, and local losses of pixels, beside numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.tasks import MultiLabel, Reconstruction, Regression, Segmentation, Task
from edgebll.learning import BLL, BlockPlace
from edgebll.learning.rule import objective_of
from edgebll.learning.rules.bll.least_squares import LeastSquaresObjective
from edgebll.learning.rules.bll.objective import FEEDBACK

RANDOM = np.random.default_rng(5)


def place(task: Task, outputs: tuple[int, ...], shape: tuple[int, ...] = (6, 2, 2)) -> BlockPlace:
    return BlockPlace(0, 2, shape, int(np.prod(outputs)), shapes=((1, 8, 8), shape, outputs), task=task, outputs=outputs)


def batch(task: Task, outputs: tuple[int, ...], count: int = 20) -> tuple[Any, Any]:
    a = RANDOM.standard_normal((count, 6, 2, 2)) + 1.0
    return a, task.examples(count, outputs, RANDOM).astype(np.float64)


@pytest.mark.parametrize(("task", "outputs"), [(Regression(), (3,)), (MultiLabel(), (4,)), (Reconstruction(), (1, 2, 3))])
def test_the_closed_form_is_least_squares_with_a_constant(task: Task, outputs: tuple[int, ...]) -> None:
    a, y = batch(task, outputs)
    objective = objective_of(BLL(feedback="lstsq"), place(task, outputs))
    assert isinstance(objective, LeastSquaresObjective)
    new = objective.renew_feedback(objective.feedback_state(), torch.tensor(a), torch.tensor(y))
    z = np.concatenate([np.ones((20, 1)), y.reshape(20, -1)], 1)
    pooled = a.mean((2, 3))
    width = z.shape[1]
    ridge = 1e-2 * sum(row @ row for row in z) / width  # as further samples: of one unknown each, with an output of 0
    rows, sides = np.concatenate([z, ridge**0.5 * np.eye(width)]), np.concatenate([pooled, np.zeros((width, 6))])
    ridged = np.linalg.lstsq(rows, sides, rcond=None)[0].T
    np.testing.assert_allclose(new[FEEDBACK].numpy(), ridged, rtol=1e-9)
    np.testing.assert_allclose(objective.beta(new, torch.tensor(y)).numpy(), z @ ridged.T, rtol=1e-9)


def test_the_average_and_the_gradient_step() -> None:
    a, y = batch(Regression(), (2,))
    z, pooled = np.concatenate([np.ones((20, 1)), y], 1), a.mean((2, 3))
    old = RANDOM.standard_normal((6, 3))
    given = {FEEDBACK: torch.tensor(old)}
    alone = objective_of(BLL(feedback="lstsq", ridge=0.5), place(Regression(), (2,)))
    fitted = alone.renew_feedback(given, torch.tensor(a), torch.tensor(y))[FEEDBACK].numpy()
    ema = objective_of(BLL(feedback="ema", feedback_momentum=0.7, ridge=0.5), place(Regression(), (2,)))
    np.testing.assert_allclose(
        ema.renew_feedback(given, torch.tensor(a), torch.tensor(y))[FEEDBACK].numpy(), 0.7 * old + 0.3 * fitted, rtol=1e-9
    )
    gradient = sum(np.outer(old @ z[n] - pooled[n], z[n]) for n in range(20)) / sum(z[n] @ z[n] for n in range(20))
    sgd = objective_of(BLL(feedback="sgd", feedback_lr=0.4, feedback_decay=0.1), place(Regression(), (2,)))
    stepped = sgd.renew_feedback(given, torch.tensor(a), torch.tensor(y))[FEEDBACK].numpy()
    np.testing.assert_allclose(stepped, old - 0.4 * (gradient + 0.1 * old), rtol=1e-9)


@pytest.mark.parametrize("count", [1, 2])
def test_a_batch_that_is_too_small_to_solve_gives_finite_feedback(count: int) -> None:
    a, y = batch(Regression(), (3,), count)
    objective = objective_of(BLL(feedback="lstsq"), place(Regression(), (3,)))
    new = objective.renew_feedback(objective.feedback_state(), torch.tensor(a).float(), torch.tensor(y).float())
    assert new[FEEDBACK].isfinite().all()
    np.testing.assert_allclose(objective.beta(new, torch.tensor(y).float()).numpy(), a.mean((2, 3)), rtol=1e-2, atol=1e-2)


def test_too_many_unknowns_are_refused() -> None:
    with pytest.raises(ConfigError, match="solves for at most 128 numbers of a target, and here are 201; use feedback=sgd"):
        objective_of(BLL(), place(MultiLabel(), (200,))).feedback_state()
    assert objective_of(BLL(feedback="sgd"), place(MultiLabel(), (200,))).feedback_state()[FEEDBACK].shape == (6, 201)


def test_a_feedback_head_sees_means_of_many_numbers() -> None:
    y = torch.arange(66.0).reshape(1, 1, 6, 11)
    assert Reconstruction().feedback_target(y).tolist() == [[1.0 + 3 * k for k in range(22)]]
    assert MultiLabel().feedback_target(torch.ones(1, 66)).shape == (1, 66)


def test_every_point_of_a_map_is_a_sample_with_shares_of_classes() -> None:
    """Shares are those among the labelled pixels that a point covers; it counts by how many of them there are."""
    task, outputs = Segmentation(ignore_index=9), (3, 4, 4)
    labels = RANDOM.integers(0, 3, (5, 4, 4))
    labels[0, :2, :3] = 9
    a, y = RANDOM.standard_normal((5, 6, 2, 2)), task.targets(labels, 3).astype(np.float64)
    objective = objective_of(BLL(feedback="lstsq", predict=0.0), place(task, outputs))
    new = objective.renew_feedback(objective.feedback_state(), torch.tensor(a), torch.tensor(y))
    sums, totals, errors = np.zeros((6, 3)), np.zeros(3), []
    points = [(n, i, j) for n in range(5) for i in range(2) for j in range(2)]
    seen = {(n, i, j): [c for c in labels[n, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].flat if c != 9] for n, i, j in points}
    for n, i, j in points:
        for c in seen[n, i, j]:
            totals[c] += 1
            sums[:, c] += a[n, :, i, j]
    means = sums / totals
    np.testing.assert_allclose(new[FEEDBACK].numpy(), means, rtol=1e-9)
    for n, i, j in points:
        if seen[n, i, j]:
            target = np.mean([means[:, c] for c in seen[n, i, j]], axis=0)
            errors += [((a[n, :, i, j] - target) ** 2).sum() / 8] * len(seen[n, i, j])
    assert len(errors) == np.count_nonzero(labels != 9)
    loss, _ = objective.loss(objective.head(), new, torch.tensor(a), torch.tensor(y))
    assert loss.item() == pytest.approx(np.mean(errors), rel=1e-9)


def test_a_block_without_space_learns_the_shares_of_the_image() -> None:
    task = Segmentation()
    objective = objective_of(BLL(), place(task, (3, 4, 4), (6,)))
    y = torch.tensor(task.examples(2, (3, 4, 4), RANDOM))
    new = objective.renew_feedback({FEEDBACK: torch.eye(6)[:, :3]}, torch.zeros(2, 6), y * 0.0)
    np.testing.assert_allclose(objective.beta(new, y)[:, :3].numpy(), y.mean((2, 3)).numpy(), rtol=1e-6)


def test_a_map_that_does_not_fit_the_masks_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"block0 must give a map .* as many axes as the masks \(4, 4\), and no larger"):
        objective_of(BLL(), place(Segmentation(), (3, 4, 4), (6, 8, 8)))
