"""Confidence bounds that hold for any number of draws, from a stated false-alarm rate.

Numbers that are compared at once share the rate among them (Bonferroni: `comparisons`).
"""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import binomtest

from msda_theory.quadrature import Array


def mean_bound(variance: Array, draws: int, false_alarm: float, comparisons: int, span: float = 1.0) -> Array:
    """Half-width about the mean of independent draws in an interval of length `span`, from their sample variance.

    The empirical Bernstein inequality (Maurer and Pontil, 2009, Thm. 4), two-sided:
    P(|mean - mu| >= t) <= delta for t = sqrt(2 V log(4/delta) / n) + 7 span log(4/delta) / (3 (n-1)).
    """
    exponent = math.log(4 * comparisons / false_alarm)
    return np.sqrt(2 * variance * exponent / draws) + 7 * span * exponent / (3 * (draws - 1))


def proportion_interval(count: int, draws: int, false_alarm: float) -> tuple[float, float]:
    """Clopper and Pearson's interval of a probability of which `count` of `draws` were seen."""
    interval = binomtest(count, draws).proportion_ci(1 - false_alarm, method="exact")
    return float(interval.low), float(interval.high)


def distribution_bound(draws: int, false_alarm: float) -> float:
    """sup_t |F_n(t) - F(t)| stays below this (Dvoretzky, Kiefer and Wolfowitz; Massart's constant)."""
    return math.sqrt(math.log(2 / false_alarm) / (2 * draws))


class RunningMean:
    """Mean and variance of arrays that arrive in batches (k, ...), in float64."""

    def __init__(self) -> None:
        self.draws, self.mean, self._squares = 0, np.zeros(()), np.zeros(())

    def add(self, values: Array) -> None:
        """Chan, Golub and LeVeque's update, free of cancellation."""
        count, mean = len(values), values.mean(0)
        if count == 0:
            return
        gap, total = mean - self.mean, self.draws + count
        squares = ((values - mean) ** 2).sum(0) + gap**2 * (self.draws * count / total)
        self.mean, self._squares, self.draws = self.mean + gap * (count / total), self._squares + squares, total

    @property
    def variance(self) -> Array:
        return np.asarray(self._squares / max(self.draws - 1, 1))
