"""Figures of Zhang et al. (2021), How does Mixup help with robustness and generalization?"""

from __future__ import annotations

from figures import training_curves
from figures.definition import Figure, Numbers, Settings
from figures.training_curves import Column
from msda_theory.masks import Mixup


def compute_fig2(settings: Settings) -> Numbers:
    """Mixup on two-moons: logistic regression, and a two-layer network with ReLU activations."""
    mask = Mixup((2,))
    columns = (
        Column("Mixup\nlogistic regression", "logistic", mask),
        Column("Mixup\ntwo-layer ReLU network", "mlp-relu", mask),
    )
    return training_curves.compute(columns, settings)


FIG2 = Figure(
    id="zhang2021-fig2",
    title="The original Mixup loss and the approximate Mixup loss, on two-moons",
    source="Zhang et al. (2021), Figure 2",
    compute=compute_fig2,
    draw=training_curves.draw,
    needs="two moons (generated)",
    seconds=40,
)
