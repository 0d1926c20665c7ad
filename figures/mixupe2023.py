"""Figures of Zou et al. (2023), MixupE, at small scale: digits, a ReLU layer and two convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from figures.definition import Figure, Numbers, Settings
from figures.style import APPROXIMATE, BOTH, COLUMN_WIDTH, EXACT, median_and_band, seeds_caption, style
from msda_theory._progress import track
from verify.mixupe_training import ARCHITECTURES, ETA, METHODS, Measure, alphas, losses, train

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Picture

Array = NDArray[np.float64]
Looks = dict[str, dict[str, Any]]

NAMES = {"mlp-relu": "one ReLU layer", "convnet": "two convolutions"}
METHOD_LOOKS: Looks = dict(zip(METHODS, (EXACT, APPROXIMATE, BOTH), strict=True))
NETWORK_LOOKS: Looks = dict(zip(ARCHITECTURES, (EXACT, APPROXIMATE), strict=True))
LOSS_PANELS = {"train_loss": "training loss", "test_loss": "test loss"}
ALPHA_PANELS = {"least": r"least $\alpha_{k,i}$", "negative": r"share of $\alpha_{k,i}$ below 0"}


def compute_fig1(settings: Settings) -> Numbers:
    """ERM, Mixup and MixupE on the convolutional network: the loss of unmixed training and test samples."""
    return {"eta": ETA, **_trained(METHODS, ARCHITECTURES[1:], losses, settings)}


def compute_fig2(settings: Settings) -> Numbers:
    """Mixup on both networks: alpha of eq. (3), the least over samples and classes, and the share below 0."""
    return _trained(METHODS[1:2], ARCHITECTURES, alphas, settings)


def draw_fig1(numbers: Numbers) -> Picture:
    """The losses of the three methods; below, MixupE less Mixup from the same seed."""
    runs = {method: [run for run in numbers["runs"] if run["method"] == method] for method in METHODS}
    _, mixup, mixupe = METHODS
    with style():
        picture = _picture(3.4)
        axes = picture.subplots(2, len(LOSS_PANELS), sharex=True, sharey="row")
        for (upper, lower), (curve, label) in zip(axes.T, LOSS_PANELS.items(), strict=True):
            for method, look in METHOD_LOOKS.items():
                median_and_band(upper, runs[method][0]["iterations"], _curves(runs[method], curve), method, look)
            gaps = _curves(runs[mixupe], curve) - _curves(runs[mixup], curve)
            median_and_band(lower, runs[mixupe][0]["iterations"], gaps, mixupe, METHOD_LOOKS[mixupe])
            lower.axhline(0, **METHOD_LOOKS[mixup])
            upper.set_title(label)
            upper.set_yscale("log")
            lower.set_xlabel("iteration")
        axes[0, 0].set_ylabel("cross-entropy")
        axes[1, 0].set_ylabel(f"{mixupe} less {mixup}")
        _legend(picture, axes[0, 0], numbers)
    return picture


def draw_fig2(numbers: Numbers) -> Picture:
    """alpha of both networks; iterations on a logarithmic axis from 1 on."""
    with style():
        picture = _picture(2.1)
        axes = picture.subplots(1, len(ALPHA_PANELS))
        for panel, (curve, label) in zip(axes, ALPHA_PANELS.items(), strict=True):
            for name, look in NETWORK_LOOKS.items():
                runs = [run for run in numbers["runs"] if run["architecture"] == name]
                median_and_band(panel, runs[0]["iterations"], _curves(runs, curve), NAMES[name], look)
            panel.set_title(label)
            panel.set_xlabel("iteration")
            panel.set_xscale("symlog", linthresh=1)
        _legend(picture, axes[0], numbers)
    return picture


def _trained(methods: Sequence[str], architectures: Sequence[str], measure: Measure, settings: Settings) -> Numbers:
    seeds = settings.each_seed
    runs = [
        train(*cell, measure, iterations=settings.iterations, records=settings.records)
        for cell in track(list(product(methods, architectures, seeds)), "trainings")
    ]
    return {"runs": [asdict(run) for run in runs]}


def _picture(height: float) -> Picture:
    from matplotlib.figure import Figure as Picture

    return Picture(figsize=(COLUMN_WIDTH, height))


def _curves(runs: Sequence[Numbers], name: str) -> Array:
    """One row a seed."""
    return np.array([run["curves"][name] for run in runs])


def _legend(picture: Picture, axes: Axes, numbers: Numbers) -> None:
    handles, _ = axes.get_legend_handles_labels()
    caption = seeds_caption(len({run["seed"] for run in numbers["runs"]}))
    picture.legend(
        handles=handles, loc="outside lower center", ncols=len(handles), title=f"digits; {caption}", alignment="left"
    )


FIG1 = Figure(
    id="mixupe2023-fig1",
    title="Loss of unmixed samples, trained without mixing, with Mixup and with MixupE, on digits",
    source="Zou et al. (2023), Figure 1",
    compute=compute_fig1,
    draw=draw_fig1,
    needs="scikit-learn's digits",
    seconds=14,
)

FIG2 = Figure(
    id="mixupe2023-fig2",
    title="The least alpha over samples and classes during training with Mixup, on digits",
    source="Zou et al. (2023), Figure 2",
    compute=compute_fig2,
    draw=draw_fig2,
    needs="scikit-learn's digits",
    seconds=6,
)

ALL = (FIG1, FIG2)
