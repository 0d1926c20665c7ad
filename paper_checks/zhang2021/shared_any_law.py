"""What holds in the place of Theorems 3.2 and B.1 for every mask law: a search over all laws, part of both claims.

L~ >= mean of l~_adv(eta_i) is an identity with a variance left over, checked exactly (`robust_any_law`); the step from
the eta_i to one radius, R~ min|z_i|, is that of the proof of Theorem 3.2 with z_i for x_i (`constants_proof`).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from math import prod

from torch import Tensor

from msda_theory import ZeroHessianNotice
from paper_checks import attacked_networks
from paper_checks.findings import Trial
from paper_checks.robust_any_law import LEAK, Figures, exact_gaps, least
from paper_checks.seen_laws import SHAPE, augmentations, mixed_moments
from paper_checks.zhang2021.shared_cosine import EFFORT, Drawn, Family
from paper_checks.zhang2021.shared_formulas import Formula, planted
from verify.violations import Search, search


@dataclass(frozen=True)
class AnyLaw(Family):
    """The same on images, for mixtures of all mask laws and label rules, data with any mean, networks with biases."""

    samples: int = 4
    size: int = prod(SHAPE)
    leak = LEAK

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        return attacked_networks.shapes(self.hidden, self.size, biased=True)

    @property
    def free(self) -> int:
        return len(augmentations())

    def drawn(self, rows: Tensor) -> Drawn:
        x, theta, place, logits = self.split(rows)
        return Drawn(x, theta, place, *mixed_moments(logits))

    def each_again(self, row: Tensor) -> list[float]:
        """`by_library` of one row under every augmentation on its own, as `augmentations` lists them."""
        x, theta, place, _ = (v[0] for v in self.split(row.unsqueeze(0)))
        return [self.by_library(x, theta, place, augmentation) for augmentation in augmentations()]


def holds_for_any_law(formula: Formula, hidden: int, trial: Trial) -> tuple[bool, Figures]:
    """Whether the identity is exact and no case is violated, in the search and by the library; and the figures."""
    name, gaps = "any mask law", exact_gaps()
    found, margins = searched(formula, hidden, trial), confirmed(formula, hidden, trial.seed)
    figures = {
        **found.figures(name),
        **least(f"{name}: L~ - mean l~_adv", margins),
        f"{name}: L~ less mean l~_adv(eta_i), less half h'' times the variance, exact": str(max(gaps, key=abs)),
    }
    return all(gap == 0 for gap in gaps) and found.worst <= 0 < min(margins), figures


@cache
def searched(formula: Formula, hidden: int, trial: Trial) -> Search:
    family = AnyLaw(planted(formula, trial), hidden)
    return search(family.sides, family.parameters, seed=trial.seed, **EFFORT)


@cache
def confirmed(formula: Formula, hidden: int, seed: int) -> list[float]:
    """`each_again` in the worst case of the search without a fault."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZeroHessianNotice)
        return AnyLaw(formula, hidden).each_again(searched(formula, hidden, Trial(seed)).at)
