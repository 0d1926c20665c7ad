"""Figures of Park et al. (2022), A unified analysis of mixed sample data augmentation."""

from __future__ import annotations

from figures import coefficients, mask_examples, training_curves, unbounded_masks
from figures.definition import Figure, Numbers, Settings
from figures.gradient_maps import FIG5, FIG6
from figures.image_tables import TABLE1, TABLE2, TABLE3, TABLE6
from figures.robustness_table import TABLE5
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
    needs="two moons (generated)",
    seconds=28,
)

FIG2 = Figure(
    id="park2022-fig2",
    title="Masks outside [0, 1]: Mixup with ratios below 0, and the Gaussian mask of Theorem 2",
    source="Park et al. (2022), Figure 2",
    compute=unbounded_masks.compute,
    draw=unbounded_masks.draw,
    needs="photographs that ship with scikit-learn",
    seconds=1,
)

FIG3 = Figure(
    id="park2022-fig3",
    title="A draw of each mask law and what it mixes, lambda = 0.65",
    source="Park et al. (2022), Figure 3",
    compute=mask_examples.compute,
    draw=mask_examples.draw,
    needs="photographs that ship with scikit-learn",
    seconds=1,
)

FIG4 = Figure(
    id="park2022-fig4",
    title="Regularisation coefficients by displacement, lambda = 0.5, 64 x 64 pixels: as printed, and of the mask laws",
    source="Park et al. (2022), Figure 4",
    compute=coefficients.compute,
    draw=coefficients.draw,
    needs="nothing",
    seconds=2,
)

ALL = (FIG1, FIG2, FIG3, FIG4, FIG5, FIG6, TABLE1, TABLE2, TABLE3, TABLE5, TABLE6)
