"""App. C, the remark below Theorem 3: the cosines grow after 100% accuracy, and CutMix's s(M, x_i) is like Mixup's.

Tried on small images: scikit-learn's digits 3 and 8, centred, a ReLU network without biases, as the theorem has it,
trained without mixing, with Mixup and with CutMix; and on 0 and 1, which it tells apart before it has learned much.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial

import torch
from torch import Tensor

from msda_theory import Augmentation, Beta
from msda_theory.bounds.radii import mean_given
from msda_theory.masks import CutMix, Mixup
from paper_checks.cosines import AFTER, ALARM, FALLS, GROWS, growth, levels, magnitudes, separated, where_from
from paper_checks.findings import Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.registry import claim
from verify.cosine_training import HIDDEN, CosineRuns, Data, digit_pair, train
from verify.tolerances import rounding

#: with 20 seeds the tendencies that were found in 160 others are missed in one run of 5000, with 25 in none of 50 000
SEEDS, IMAGE, RATIO = 25, (8, 8), Beta(1.0, 1.0)
CUTMIX = Augmentation(RATIO, CutMix(IMAGE, sampler="inside"))
WRAPPED = Augmentation(RATIO, CutMix(IMAGE, sampler="torus"))
NEAR, BOXES = 2.0, 512  # a factor; more than the boxes of any sampler
THREES, NOUGHTS = partial(digit_pair, 3, 8), partial(digit_pair, 0, 1)


@dataclass(frozen=True)
class Case:
    data: Data
    augmentation: Augmentation | None
    epochs: int


TRAINED = "digits 3, 8, CutMix"
MIXED = {"digits 3, 8, Mixup": Case(THREES, Augmentation(RATIO, Mixup(IMAGE)), 40), TRAINED: Case(THREES, CUTMIX, 100)}
CASES = {"digits 3, 8, without mixing": Case(THREES, None, 40), **MIXED}
EASY = {"digits 0, 1, CutMix": Case(NOUGHTS, CUTMIX, 40)}


@cache
def _runs(case: Case, seed: int) -> CosineRuns:
    seeds = range(seed, seed + SEEDS)
    return train(case.data, HIDDEN, seeds, augmentation=case.augmentation, epochs=case.epochs, records=1)


class Covering:
    """E_D~,M s(M, x_i) of the networks trained with CutMix, by enumeration of the boxes.

    s(M, x_i) = sum_j (1-M_j) g_j x_ij / (|g| |x_i|), g = grad f(x_i)  (App. C).
    """

    def __init__(self, trial: Trial) -> None:
        runs = _runs(MIXED[TRAINED], trial.seed)
        x = trial.plant(runs.x, runs.x.roll(-1, dims=1))
        gradient = runs.end.gradient
        products = gradient * x / (gradient.norm(dim=-1) * x.norm(dim=-1)).unsqueeze(-1)
        self.cosine = runs.end.cosines(x)
        self.like = self.cosine.abs().amin(1) * RATIO.tilted().moment(0, 1)
        self.mean, self.spread = _over_masks(products, CUTMIX)
        wrapped, _ = _over_masks(products, WRAPPED)
        self.gap = float((wrapped - float(mean_given(WRAPPED)[0]) * self.cosine).abs().max())
        self.signs = bool(((wrapped > 0) == (runs.end.output > 0)).all())

    @property
    def ratio(self) -> Tensor:
        """min_i |E s| over min_i |cos| E_D~[1-lambda], of each run."""
        return self.mean.abs().amin(1) / self.like

    @property
    def negative(self) -> bool:
        """Whether the printed min_i E s is below 0 in every run."""
        return bool((self.mean.amin(1) < 0).all())

    @property
    def holds(self) -> bool:
        """E s is a constant times the cosine, with f's sign, for boxes that wrap around; near that for boxes inside."""
        proportional = self.gap <= rounding(torch.float64, 1.0, IMAGE[0] * IMAGE[1] + BOXES)
        return self.signs and proportional and 1 / NEAR <= float(self.ratio.median()) <= NEAR

    def figures(self) -> dict[str, str | float]:
        low, middle, high = (float(v) for v in (self.ratio.min(), self.ratio.median(), self.ratio.max()))
        return {
            "E s(M, x_i), boxes that wrap around, has the sign of f": "always" if self.signs else "not always",
            "min_i E s, as printed": f"{float(self.mean.amin(1).median()):.3f}",
            "min_i |cos| E_D~[1-lambda]": f"{float(self.like.median()):.3f}",
            "min_i |E s| over it, boxes inside": f"{middle:.2f} ({low:.2f} to {high:.2f})",
            "standard deviation of s over M, of |E s|": f"{float((self.spread / self.mean.abs()).median()):.0%}",
            "E s less E_D~[1-M] cos, boxes that wrap around": self.gap,
        }


def _over_masks(products: Tensor, augmentation: Augmentation) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of sum_j (1-M_j) products_j under the tilted law, boxes enumerated."""
    table = replace(augmentation, ratio=augmentation.ratio.tilted()).table(1)
    weights = table.first + table.second
    each = products @ (1 - table.masks.flatten(1)).T
    mean = each @ weights
    return mean, ((each - mean.unsqueeze(-1)) ** 2 @ weights).sqrt()


@claim("park2022:thm3-remark", fault="the gradient at another sample")
def cosines_grow(trial: Trial) -> Finding:
    honest = Trial(trial.seed)
    covering = Covering(honest)
    cosine, size = _one_step()
    figures: dict[str, str | float] = {
        "two points of class 1, a step after 100%: cos of the first": f"from 1 to {cosine:.4f}",
        "the same: its |f| grows by": f"{size:.1%}",
    }
    falls = [growth(_runs(case, trial.seed), AFTER, honest).typical.direction == FALLS for case in MIXED.values()]
    fails = cosine < 1 and size > 0 and all(falls) and covering.negative
    reason = (
        "|f| = |grad f| |x| |cos| can grow while a cosine falls, and does in one step on two points; where one trains "
        "with Mixup or CutMix, most |cos| fall after 100% accuracy.  E s(M, x_i) has the sign of f, so its least value "
        "is negative, and not like min |cos| E[1-lambda], wherever there are both classes"
    )
    evidence = Evidence("empirical", figures | _tendencies(CASES | EASY, honest) | covering.figures())
    return Finding(verdict_of(not fails), reason, evidence, _corrected(trial))


def _corrected(trial: Trial) -> Corrected:
    covering = Covering(trial)
    grows = [growth(_runs(case, trial.seed), AFTER, trial).least.direction == GROWS for case in CASES.values()]
    return Corrected(
        "min_i |cos(grad f(x_i), x_i)| tends to grow after 100% accuracy, the single |cos| need not; E s(M, x_i) is "
        "cos(grad f(x_i), x_i), with its sign, times E_D~[1-M] where that is the same for all pixels (a box that wraps "
        "around); for boxes that stay inside the image min_i |E s| is within a factor of two of min_i |cos| "
        "E_D~[1-lambda] in most runs, while single masks scatter about E s by nearly its size",
        verdict_of(all(grows) and covering.holds),
        Evidence("empirical", _tendencies(CASES, trial) | covering.figures()),
    )


def _one_step() -> tuple[float, float]:
    """A linear model, theta = (1, 0), and the points (1, 0), (1, 1) of class 1, both classified rightly: one gradient
    step of size 1 on the logistic loss.  The new cos(theta, x_1), and the relative growth of f(x_1)."""
    x, theta = torch.tensor([[1.0, 0.0], [1.0, 1.0]], dtype=torch.float64), torch.tensor([1.0, 0.0]).double()
    after = theta + (torch.sigmoid(-x @ theta).unsqueeze(1) * x).mean(0)
    return float(after[0] / after.norm()), float(after[0] - 1)


def _tendencies(cases: dict[str, Case], trial: Trial) -> dict[str, str | float]:
    """After 100% accuracy."""
    figures: dict[str, str | float] = {"runs of each": SEEDS, "false-alarm rate of a comparison": ALARM}
    for name, case in cases.items():
        runs = _runs(case, trial.seed)
        middle, end = (magnitudes(m, runs, trial)[separated(runs)] for m in (runs.separated, runs.end))
        figures[f"{name}: R at the start, at 100%, at the end"] = levels(runs, trial)
        figures[f"{name}: median |cos| at 100%, at the end"] = (
            f"{float(middle.median()):.2f}, {float(end.median()):.2f}"
        )
        figures |= growth(runs, AFTER, trial).figures(name, AFTER)
        figures[f"{name}: growth of log|f| after 100%"] = where_from(runs)
    return figures
