"""The exact Mixup loss and three expansions of it.

They are: to second order about the data (Park et al., Zhang et al.), to fourth order about the data along r - x_i
(MixupE), and to second order about the mean mixed points (after Carratino et al.).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from figures.definition import Figure, Numbers, Settings
from figures.style import APPROXIMATE, BOTH, EXACT, PAGE_WIDTH, median_and_band, seeds_caption, style
from msda_theory import Augmentation, Beta, ZeroHessianNotice, exact_loss, mean_point_loss, taylor_loss
from msda_theory._model import outputs
from msda_theory._progress import track
from msda_theory.expansions.all_orders import Share, directional_terms
from msda_theory.expansions.directions import output_derivatives
from msda_theory.losses import Loss
from msda_theory.masks import Mixup
from verify.problems import digits, fit, loss_for, network, standard_objective

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Picture

MODELS = {"logistic": "softmax regression", "mlp-tanh": "tanh network", "mlp-relu": "ReLU network"}
ALPHAS = tuple(2.0**k for k in (-4, -2, -1, 0, 1, 2, 4))
DECAYS = {0.03: "weight decay 0.03", 0.001: "weight decay 0.001"}
RTOL = 1e-3
ORDER = 4
FOURTH: dict[str, Any] = {"color": "#CC79A7", "linestyle": (0, (6, 1.2))}  # reddish purple
STANDARD: dict[str, Any] = {"color": "#777777", "linestyle": (0, (5, 1.2, 1, 1.2)), "linewidth": 0.8}
LINES: dict[str, tuple[str, dict[str, Any]]] = {
    "standard": ("no augmentation", STANDARD),
    "exact": ("exact", EXACT | {"linewidth": 2.0}),
    "data": ("about data, order 2", APPROXIMATE | {"marker": "s", "markersize": 2.5}),
    "directional": (f"about data, order {ORDER}", FOURTH | {"marker": "D", "markersize": 2.5}),
    "mean_points": ("about mean points, order 2", BOTH | {"marker": "o", "markersize": 2.5}),
}


def compute(settings: Settings) -> Numbers:
    """The losses of networks trained on digits without augmentation, over alpha, for each seed."""
    seeds = settings.each_seed
    cases = list(product(MODELS, DECAYS, seeds))
    runs = [_run(*case, settings.samples) for case in track(cases, "three expansions")]
    return {"alphas": ALPHAS, "mask": repr(Mixup((8, 8))), "samples": settings.samples, "runs": runs}


def _run(name: str, decay: float, seed: int, samples: int) -> Numbers:
    x, y = digits(samples, seed=seed)
    loss, width = loss_for(y)
    model = network(name, tuple(x.shape[1:]), width, seed=seed)
    fit(model, standard_objective(loss, x, y, weight_decay=decay))
    points = [_losses(model, loss, x, y, alpha) for alpha in ALPHAS]
    curves = {key: [p[key] for p in points] for key in points[0]}
    return {"model": name, "decay": decay, "seed": seed, **curves, "directional": _directional(model, loss, x, y)}


@torch.no_grad()
def _directional(model: nn.Module, loss: Loss, x: Tensor, y: Tensor) -> list[float]:
    """`directional_loss` over alpha, from one set of derivatives."""
    towards = output_derivatives(model, x, ORDER, torch.arange(len(x)))
    labels = loss.prepare(y, outputs(model, x))
    shares = [Share.of(Beta(alpha, alpha), ORDER) for alpha in ALPHAS]
    return [float(directional_terms(towards, loss, labels, share, "plain").sum()) for share in shares]


def _losses(model: nn.Module, loss: Loss, x: Tensor, y: Tensor, alpha: float) -> dict[str, float]:
    problem = (model, loss, x, y, Augmentation(Beta(alpha, alpha), Mixup((8, 8))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZeroHessianNotice)
        theory, mean = taylor_loss(*problem), mean_point_loss(*problem)
    exact = exact_loss(*problem, rtol=RTOL).value
    return {"standard": theory.standard, "exact": exact, "data": theory.total, "mean_points": mean.total}


def draw(numbers: Numbers) -> Picture:
    """A column a network, a row a weight decay; median over the seeds as a line, smallest to largest as a band."""
    from matplotlib.figure import Figure as Picture

    with style():
        picture = Picture(figsize=(PAGE_WIDTH, 3.9))
        axes = picture.subplots(len(DECAYS), len(MODELS), sharex=True, sharey="row")
        for (row, decay), (column, model) in product(enumerate(DECAYS), enumerate(MODELS)):
            own = [run for run in numbers["runs"] if (run["model"], run["decay"]) == (model, decay)]
            _panel(axes[row, column], numbers["alphas"], own)
        for ax, title in zip(axes[0], MODELS.values(), strict=True):
            ax.set_title(title)
        for ax in axes[-1]:
            ax.set_xlabel("$\\alpha$ of $\\lambda$ ~ Beta($\\alpha$, $\\alpha$)")
        for ax, title in zip(axes[:, 0], DECAYS.values(), strict=True):
            ax.set_ylabel(f"{title}\nMixup loss")
            ax.set_ylim(bottom=0)  # last, as it ends the row's common scaling
        handles, _ = axes[0, 0].get_legend_handles_labels()
        picture.legend(handles=handles, loc="outside lower center", ncols=len(LINES), title=_caption(numbers))
    return picture


def _panel(ax: Axes, alphas: Sequence[float], runs: Sequence[Numbers]) -> None:
    for key, (label, look) in LINES.items():
        curves = np.array([run[key] for run in runs])
        median_and_band(ax, alphas, curves, label, look, shade=0.15)
    ax.set_xscale("log", base=2)


def _caption(numbers: Numbers) -> str:
    spread = seeds_caption(len({run["seed"] for run in numbers["runs"]}))
    return f"{numbers['samples']} digits, networks trained without augmentation; {spread}"


FIGURE = Figure(
    id="three-expansions",
    title="The Mixup loss of trained networks: exact, expanded about the data, and about the mean mixed points",
    source="after Zhang et al. (2021), Zou et al. (2023), Carratino et al. (2022)",
    compute=compute,
    draw=draw,
    needs="scikit-learn's digits",
    seconds=60,
)
