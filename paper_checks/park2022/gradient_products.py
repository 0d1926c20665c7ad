"""(12), Figs. 5-6: is |d_v f d_(v+p) f| small, after training, at the displacements p where a is large?

Tried on scikit-learn's digits with a small convolutional network, trained with Mixup and with CutMix from the same
initialisation on the same images, in the same order.  As a statement about one network it cannot be: (12) is largest at
p = 0 whatever was trained, and so is a of CutMix.  As a comparison of two trainings it is a matter of experiment: the
rank correlation, over displacements, of CutMix's products over Mixup's with the difference of their coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from scipy.stats import t, ttest_1samp
from torch import Tensor

from paper_checks.findings import DEPENDS, FAILS, Evidence, Finding, Trial
from paper_checks.registry import claim
from verify.gradient_products import alignment, mean_coefficient, products, score_gradients
from verify.image_runs import Recipe, augmentation, trained

RECIPE = Recipe(data="digits", samples=300, epochs=30, batch=64, lr=0.1)
#: of 38 correlations between two trainings, 37 lay from -0.77 to -0.31 and one at -0.03: with six seeds the test would
#: miss so clear a mean in one run of seven; with fourteen it takes six of the latter kind, in fewer than one of 1e4
SHAPE, SEEDS = (8, 8), 14
#: false-alarm rate of the two-sided t-test over the seeds
ALARM = 1e-3


@dataclass(frozen=True)
class Products:
    """(12) by seed and displacement, (s, 15, 15): its mean over the test images, and its largest, as in Fig. 5."""

    mean: Tensor
    largest: Tensor


@cache
def _products(method: str, seed: int) -> Products:
    runs = [trained(RECIPE, method, seed + k) for k in range(SEEDS)]
    found = [products(score_gradients(run.model, run.data.test_x, run.data.test_y).double()) for run in runs]
    return Products(torch.stack([each.mean(0) for each in found]), torch.stack([each.amax(0) for each in found]))


@cache
def coefficient(method: str) -> Tensor:
    """E_i E_D~[a_{i,i+p}]."""
    mixed = augmentation(method, SHAPE)
    assert mixed is not None
    return mean_coefficient(mixed, SHAPE)


@dataclass(frozen=True)
class Alignment:
    """Rank correlations, one a seed; `chance` is that of as clear a mean if there were none."""

    values: list[float]

    @property
    def chance(self) -> float:
        return float(ttest_1samp(self.values, 0.0).pvalue)

    @property
    def negative(self) -> bool:
        return self.chance <= ALARM and sum(self.values) < 0

    def __str__(self) -> str:
        mean, half = sum(self.values) / len(self.values), _half_width(self.values)
        below = sum(v < 0 for v in self.values)
        return f"{mean:+.2f} ± {half:.2f} (95%), {below} of {len(self.values)} below 0, p = {self.chance:.1g}"


def _half_width(values: list[float]) -> float:
    error = float(torch.tensor(values).std()) / len(values) ** 0.5
    return float(t.ppf(0.975, len(values) - 1)) * error


def against(ours: Tensor, theirs: Tensor, difference: Tensor) -> Alignment:
    return Alignment([alignment(mine / other, difference) for mine, other in zip(ours, theirs, strict=True)])


@claim("park2022:eq12", fault="the products of the two networks exchanged")
def gradient_products(trial: Trial) -> Finding:
    """Within a network, and between two trainings."""
    cutmix, mixup = (_products(m, trial.seed) for m in trial.plant(("CutMix", "Mixup"), ("Mixup", "CutMix")))
    difference = coefficient("CutMix") - coefficient("Mixup")
    within = Alignment([alignment(each, coefficient("CutMix")) for each in cutmix.mean])
    between = against(cutmix.mean, mixup.mean, difference)
    largest_at_zero = all(_largest_at_zero(each) for each in (cutmix.mean, cutmix.largest, coefficient("CutMix")))
    figures = {
        "runs of each method, false-alarm rate": f"{SEEDS}, {ALARM}",
        "images trained and tested on": f"{RECIPE.samples} digits, and the others",
        "(12) and CutMix's coefficient are largest at p = 0": "always" if largest_at_zero else "not always",
        "rank correlation of (12) with the coefficient, CutMix": str(within),
        "rank correlation of CutMix's over Mixup's (12), mean over images, with the coefficients' difference": str(
            between
        ),
        "the same, largest image": str(against(cutmix.largest, mixup.largest, difference)),
    }
    literal = not largest_at_zero and within.negative
    reason = (
        "within one network it is false: no displacement has a larger product than p = 0, where CutMix's coefficient "
        "is largest too, since |ab| <= max(a^2, b^2).  Between trainings, on digits with a small network, CutMix's "
        "products are the smaller against Mixup's the more its coefficient exceeds Mixup's, in the mean over test "
        "images.  The scale is ours, not ImageNet's; `python -m figures park2022-fig6` tries larger images"
    )
    return Finding(DEPENDS if between.negative and not literal else FAILS, reason, Evidence("empirical", figures))


def _largest_at_zero(values: Tensor) -> bool:
    middle = values.shape[-1] // 2
    return bool((values <= values[..., middle : middle + 1, middle : middle + 1] * (1 + 1e-12)).all())
