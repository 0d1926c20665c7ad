"""How far the approximate MSDA loss bounds the adversarial loss: its second-order form, and the truth.

At the radii eta_i of `msda_theory.bounds.robust_radii` the second-order adversarial loss is proved to lie below the
approximate MSDA loss.  Here every eta_i is scaled by t: the proof is for t <= 1; the truth lies between an attack and a
certificate, and nothing is proved of it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from figures.definition import Figure, Numbers, Settings
from figures.style import APPROXIMATE, BOTH, EXACT, PAGE_WIDTH, median_and_band, seeds_caption, style
from msda_theory import Augmentation, Beta, ZeroHessianNotice, taylor_loss
from msda_theory._progress import track
from msda_theory.bounds import adversarial_taylor, certified_adversarial, projected_gradient, robust_radii
from msda_theory.losses import Logistic
from msda_theory.masks import CutMix, Mixup
from verify.mixed_training import NETWORKS, build, train_mixed, two_digits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Picture

PAIR = (4, 9)
SHAPE = (8, 8)
MIXUP = Augmentation(Beta(1.0, 1.0), Mixup(SHAPE))
CUTMIX = Augmentation(Beta(1.0, 1.0), CutMix(SHAPE, sampler="inside"))
#: what the network is trained with, whose approximate loss is the bound, and how the row is called
TRAININGS: dict[str, tuple[Augmentation | None, Augmentation, str]] = {
    "none": (None, MIXUP, "trained without mixing\nloss / Mixup bound"),
    "mixup": (MIXUP, MIXUP, "trained with Mixup\nloss / Mixup bound"),
    "cutmix": (CUTMIX, CUTMIX, "trained with CutMix\nloss / CutMix bound"),
}
COLUMNS = dict(zip(NETWORKS, ("linear", "ReLU, without biases", "ReLU, with biases"), strict=True))
LINES: dict[str, tuple[str, dict[str, Any]]] = {
    "second_order": ("adversarial loss to second order", APPROXIMATE),
    "certified": ("adversarial loss, at most (certificate)", BOTH),
    "attack": ("adversarial loss, at least (attack)", EXACT),
}
ATTACK: dict[str, Any] = {"steps": 20, "restarts": 1, "seed": 0}
LEVEL: dict[str, Any] = {"color": "black", "linewidth": 0.9}
PROVED: dict[str, Any] = {"color": "#EEEEEE", "linewidth": 0}


def compute(settings: Settings) -> Numbers:
    """Both sides for every network, training and seed, over t in (0, 2]."""
    half = min(6, max(1, settings.records // 5))
    scales = [(k + 1) / half for k in range(2 * half)]
    seeds = settings.each_seed
    cases = list(product(NETWORKS, TRAININGS, seeds))
    runs = [_run(*case, scales, settings) for case in track(cases, "networks")]
    return {"scales": scales, "classes": list(PAIR), "samples": settings.samples, "runs": runs}


def _run(name: str, training: str, seed: int, scales: Sequence[float], settings: Settings) -> Numbers:
    x, y = two_digits(PAIR, settings.samples, seed)
    model, (trained_with, augmentation, _) = build(name, seed), TRAININGS[training]
    train_mixed(model, x, y, trained_with, steps=settings.iterations, seed=seed)
    radii = robust_radii(model, x, y, augmentation)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZeroHessianNotice)
        bound = taylor_loss(model, Logistic(), x, y, augmentation)
    curves: dict[str, list[float]] = {key: [] for key in LINES}
    for t in scales:
        eta = t * radii.eta.clamp(min=0)
        with torch.no_grad():
            curves["second_order"].append(float(adversarial_taylor(model, x, y, eta).mean()))
        curves["attack"].append(float(projected_gradient(model, x, y, eta, **ATTACK).loss.mean()))
        curves["certified"].append(float(certified_adversarial(model, x, y, eta).mean()))
    return {
        "network": name,
        "trained_with": training,
        "bound_by": repr(augmentation),
        "seed": seed,
        "standard": bound.standard,
        "bound": bound.total,
        "guaranteed": radii.guaranteed,
        "radii": [float(v) for v in (radii.eta.min(), radii.eta.median(), radii.eta.max())],
        **curves,
    }


def draw(numbers: Numbers) -> Picture:
    """Losses over the bound: a column a network, a row a training; medians over the seeds, and bands."""
    from matplotlib.figure import Figure as Picture

    with style():
        picture = Picture(figsize=(PAGE_WIDTH, 5.6))
        axes = picture.subplots(len(TRAININGS), len(COLUMNS), sharex=True, sharey="row")
        for (row, training), (column, name) in product(enumerate(TRAININGS), enumerate(COLUMNS)):
            own = [run for run in numbers["runs"] if (run["network"], run["trained_with"]) == (name, training)]
            _panel(axes[row, column], numbers["scales"], own)
        for ax, title in zip(axes[0], COLUMNS.values(), strict=True):
            ax.set_title(title)
        for ax, (_, _, label) in zip(axes[:, 0], TRAININGS.values(), strict=True):
            ax.set_ylabel(label)
        for ax in axes[-1]:
            ax.set_xlabel("$t$, radii $t\\,\\eta_i$")
        picture.align_ylabels(axes[:, 0])
        handles, _ = axes[0, 0].get_legend_handles_labels()
        picture.legend(handles=handles, loc="outside lower center", ncols=3, title=_caption(numbers))
    return picture


def _panel(ax: Axes, scales: Sequence[float], runs: Sequence[Numbers]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.axvspan(0, 1, label="second order proved to be below", **PROVED)
    ax.axhline(1, label="the bound: approximate MSDA loss", **LEVEL)
    for key, (label, look) in LINES.items():
        median_and_band(ax, scales, _ratios(runs, key), label, look)
    crossing = _crossing(scales, runs)
    ax.plot([crossing], [1], "o", color=EXACT["color"], markersize=3.5)
    ax.grid(False)  # in the way of the text
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_xlim(0, max(scales))
    ax.text(0.04, 0.96, _found(scales, runs, crossing), transform=ax.transAxes, va="top", fontsize=6)


def _ratios(runs: Sequence[Numbers], key: str) -> NDArray[np.float64]:
    return np.array([run[key] for run in runs]) / np.array([[run["bound"]] for run in runs])


def _found(scales: Sequence[float], runs: Sequence[Numbers], crossing: float) -> str:
    """The tightness at t = 1, the t from which the attack exceeds the bound, and where the proof does not apply."""
    second, attack = (np.median(_ratios(runs, key)[:, scales.index(1.0)]) for key in ("second_order", "attack"))
    lines = [f"at $t=1$: second order {second:.2f}, attack {attack:.2f}"]
    lines += [f"bound exceeded from $t={crossing:.2f}$"] if np.isfinite(crossing) else []
    proved = sum(run["guaranteed"] for run in runs)
    lines += [f"proof applies to {proved} of {len(runs)} seeds"] if proved < len(runs) else []
    return "\n".join(lines)


def _crossing(scales: Sequence[float], runs: Sequence[Numbers]) -> float:
    """Where the attack's median ratio first reaches 1, on the line through the points about it; inf if nowhere."""
    ratios = np.median(_ratios(runs, "attack"), 0)
    above = np.flatnonzero(ratios >= 1)
    if not len(above):
        return float("inf")
    k = int(above[0])
    return float(np.interp(1.0, ratios[k - 1 : k + 1], scales[k - 1 : k + 1])) if k else scales[0]


def _caption(numbers: Numbers) -> str:
    spread = seeds_caption(len({run["seed"] for run in numbers["runs"]}))
    first, second = numbers["classes"]
    return f"{numbers['samples']} digits {first} and {second}, $\\ell_2$ attacks; {spread}"


FIGURE = Figure(
    id="bound-against-truth",
    title="The approximate MSDA loss as a bound: of the adversarial loss to second order, and of the true one",
    source="after Zhang et al. (2021), Theorems 3.1 and 3.3; Park et al. (2022), Theorem 3",
    compute=compute,
    draw=draw,
    needs="scikit-learn's digits",
    seconds=30,
)
