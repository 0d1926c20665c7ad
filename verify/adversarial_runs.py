"""The exact adversarial loss and its second-order approximation along training: Fig. 4 of Zhang et al.

"Under the same setup of our numerical experiments of Figure 2" (their App. C.2): two-moons, logistic regression and a
two-layer ReLU network, an l2 attack of size eps sqrt(d) = 0.5.  The exact loss is that of `verify.disc_attack`.

The paper compares both "along the iterations of computing the original adversarial loss", and uses the approximation
for networks trained with Mixup.  So each network is trained with the exact loss, with the approximation, as in Fig. 2,
with the Mixup loss, and with the standard loss; both losses are recorded along each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from msda_theory import Augmentation, Beta
from msda_theory.bounds import adversarial_taylor
from msda_theory.losses import Loss
from msda_theory.masks import Mixup
from msda_theory.training import ExactObjective
from verify.disc_attack import WorstCase
from verify.problems import standard_objective
from verify.training_runs import Objective, RunCurves, Trajectory, trajectories

RADIUS = 0.5


@dataclass(frozen=True)
class AttackedCurves(RunCurves):
    """`RunCurves` of the adversarial loss, and the same losses along trainings that know nothing of an attack."""

    by_mixup: Trajectory
    by_standard: Trajectory

    def along(self, trained_by: str) -> RunCurves:
        """One trajectory in both places: its gap statistics are at equal parameters throughout."""
        path = getattr(self, trained_by)
        return RunCurves(self.seed, self.iterations, path, path)


def train_under_attack(model_name: str, seed: int, *, order: int = 4, **setup: Any) -> AttackedCurves:
    """Four trainings from one initialisation, in the setup that `training_runs.trajectories` takes; `order` is the
    number of quadrature nodes of the Mixup loss.
    """

    def mixup(loss: Loss, x: Tensor, y: Tensor) -> Objective:
        return ExactObjective(loss, x, y, Augmentation(Beta(1.0, 1.0), Mixup((2,))), order=order)

    trained_by = (_exact, _approximate, mixup, standard_objective)
    times, paths = trajectories(model_name, _exact, _approximate, trained_by, seed, **setup)
    return AttackedCurves(seed, times, *paths)


def train_on_attacks(model_name: str, seed: int, **setup: Any) -> RunCurves:
    """The first of these trainings alone, with the exact loss: `train_under_attack(...).along("by_exact")`."""
    times, (path,) = trajectories(model_name, _exact, _approximate, (_exact,), seed, **setup)
    return RunCurves(seed, times, path, path)


def _exact(loss: Loss, x: Tensor, y: Tensor) -> Objective:
    return WorstCase(loss, x, y, RADIUS)


def _approximate(loss: Loss, x: Tensor, y: Tensor) -> Objective:
    def objective(model: nn.Module) -> Tensor:
        return adversarial_taylor(model, x, y, RADIUS, loss).mean()

    return objective
