"""Tolerances, each derived from what it must allow for, and named here once.

    rounding               eps, the size of the terms and how many operations follow one another
    difference_quotient    two step sizes and the rounding of the function
    monte_carlo            a standard error and a false-alarm rate, by the normal law
    bounded_mean           the same for a mean of few or skewed draws in [0, span], by Bernstein's inequality

None is widened because a check fails.  A random check of many numbers shares its false-alarm rate among them
(Bonferroni: `comparisons`).
"""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from scipy.stats import norm
from torch import Tensor

#: the chance that a correct program fails one random check; with 1000 such checks a suite fails once in 1000 runs of
#: new seeds, and never for the seeds that stand in it and passed
FALSE_ALARM = 1e-6


def rounding(dtype: torch.dtype, scale: float, operations: int) -> float:
    """Rounding of a sum of terms of size `scale`: eps * scale * operations bounds it, sqrt(operations) is typical.

    `operations` counts those that follow one another (a dot product of length d counts d), since each adds at most
    eps/2 of the largest number that occurs, to first order in eps (Higham, 2002, sec. 3.1).
    """
    return torch.finfo(dtype).eps * scale * operations


Value = TypeVar("Value", float, Tensor)


def difference_quotient(fine: Value, coarse: Value, step: float, scale: float, order: int = 1) -> Value:
    """Error of a central difference of the given order at `step`, from its values at `step` and at 2 `step`.

    Truncation is c step^2 + O(step^4), so the two values differ by 3 c step^2, three times the error of the finer;
    all of the difference is allowed, for the next term.  Rounding: 2^order values of size `scale`, each good to 16 eps,
    divided by (2 step)^order.
    """
    quotient_rounding = 2**order * 16 * torch.finfo(torch.float64).eps * scale / (2 * step) ** order
    return abs(fine - coarse) + quotient_rounding


def monte_carlo(standard_error: float, false_alarm: float = FALSE_ALARM, comparisons: int = 1) -> float:
    """Half-width of a two-sided interval about a mean of many independent draws, by the central limit theorem.

    The estimate of a correct program leaves it with probability `false_alarm` (over all `comparisons`); one whose
    error is twice the half-width is found with probability 1 - `false_alarm`/2.
    """
    return float(norm.isf(false_alarm / (2 * comparisons))) * standard_error


def bounded_mean(
    variance: float, draws: int, false_alarm: float = FALSE_ALARM, comparisons: int = 1, span: float = 1.0
) -> float:
    """The same for draws in an interval of length `span` with a known variance, for any number of them.

    Bernstein: P(|mean - mu| >= t) <= 2 exp(-n t^2 / (2 variance + 2 span t / 3)), solved for t.
    """
    exponent = math.log(2 * comparisons / false_alarm) / draws
    linear = span * exponent / 3
    return linear + math.sqrt(linear**2 + 2 * max(variance, 0.0) * exponent)
