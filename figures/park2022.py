"""Figures of Park et al. (2022), A unified analysis of mixed sample data augmentation."""

from __future__ import annotations

from figures import training_curves
from figures.definition import Figure, Numbers, Settings
from figures.training_curves import Column
from msda_theory.masks import Bernoulli, Mixup


def compute_fig1(settings: Settings) -> Numbers:
    """Logistic regression on two-moons, lambda ~ Beta(1, 1): M = lambda 1, and m_i ~ Bernoulli(lambda)."""
    columns = (
        Column("Mixup\nlogistic regression", "logistic", Mixup((2,))),
        Column("Bernoulli masks\nlogistic regression", "logistic", Bernoulli((2,))),
    )
    return training_curves.compute(columns, settings)


FIG1 = Figure(
    id="park2022-fig1",
    title="The original MSDA loss and the approximate MSDA loss, logistic regression on two-moons",
    source="Park et al. (2022), Figure 1",
    compute=compute_fig1,
    draw=training_curves.draw,
)
