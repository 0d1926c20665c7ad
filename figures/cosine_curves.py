"""Fig. 3 of Zhang et al. (2021): R = min_i R_i and R_i = |cos(grad f(x_i), x_i)| while a network is trained."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from figures.definition import Figure, Numbers, Settings
from figures.style import APPROXIMATE, EXACT, PAGE_WIDTH, median_and_band, seeds_caption, style
from msda_theory import Augmentation, Beta
from msda_theory._progress import track
from msda_theory.masks import Mixup
from verify.cosine_training import HIDDEN, SIZE, CosineRuns, gaussian_points, train

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Picture

Array = NDArray[np.float64]

RELU = "ReLU network"
MODELS: dict[str, tuple[int, ...]] = {"linear model": (), RELU: HIDDEN}
METHODS: dict[str, Augmentation | None] = {
    "without mixing": None,
    "Mixup": Augmentation(Beta(1.0, 1.0), Mixup((SIZE,))),
}
LOOKS: dict[str, dict[str, Any]] = dict(zip(METHODS, (EXACT, APPROXIMATE), strict=True))
PRINTED = {"start": 2.27e-5, "end": 6.11e-2}
BINS = np.linspace(0, 1, 21)
LARGE = 0.8


def compute(settings: Settings) -> Numbers:
    """For each model and method: R, the median and the mean R_i of every run along the epochs; all R_i at both ends.

    `settings.iterations` are epochs; batches of 10, no biases.
    """
    seeds = settings.each_seed
    cells = track(list(product(MODELS, METHODS)), "trainings")
    return {
        "printed": PRINTED,
        "trainings": [_trained(model, method, seeds, settings) for model, method in cells],
    }


def _trained(model: str, method: str, seeds: range, settings: Settings) -> Numbers:
    runs = train(
        gaussian_points,
        MODELS[model],
        seeds,
        augmentation=METHODS[method],
        epochs=settings.iterations,
        records=settings.records,
    )
    return {"model": model, "method": method, "seeds": list(seeds), **_as_numbers(runs)}


def _as_numbers(runs: CosineRuns) -> Numbers:
    """Curves have a row a seed; `reached` is null where 100% accuracy is not kept to the end."""
    cosines = runs.cosines.abs()
    curves = {"least": cosines.amin(2), "median": cosines.median(2).values, "mean": cosines.mean(2)}
    curves |= {"loss": runs.loss, "accuracy": runs.accuracy}
    return {
        "epochs": list(runs.epochs),
        **{name: values.T.tolist() for name, values in curves.items()},
        "reached": [epoch if epoch >= 0 else None for epoch in runs.reached.tolist()],
        "start": cosines[0].tolist(),
        "end": cosines[-1].tolist(),
    }


def draw(numbers: Numbers) -> Picture:
    """(a), (b): R and the median R_i along the epochs; (c), (d): the R_i of the ReLU network before and after."""
    from matplotlib.figure import Figure as Picture

    with style():
        picture = Picture(figsize=(PAGE_WIDTH, 4.3))
        axes = picture.subplots(2, 2, sharey="row")
        for panel, model, letter in zip(axes[0], MODELS, "ab", strict=True):
            _curves(panel, numbers, model)
            panel.set_title(f"({letter}) {model}: median $R_i$, and below it $R = \\mathrm{{min}}_i\\,R_i$")
        _histograms(axes[1, 0], _of(numbers, RELU)[:1], "start")
        _histograms(axes[1, 1], _of(numbers, RELU), "end")
        axes[1, 0].set_title(f"(c) {RELU} before training, either way")
        axes[1, 1].set_title(f"(d) {RELU} after training")
        for panel in axes[:, 0]:
            panel.set_ylim(0, None)
        axes[0, 0].set_ylabel(r"$R_i = |\cos(\nabla f(x_i), x_i)|$")
        axes[1, 0].set_ylabel("points of 100")
        handles, _ = axes[0, 0].get_legend_handles_labels()
        picture.legend(handles=handles, loc="outside lower center", ncols=2, title=_caption(numbers), alignment="left")
    return picture


def _curves(axes: Axes, numbers: Numbers, model: str) -> None:
    for training in _of(numbers, model):
        look = LOOKS[training["method"]]
        for name, label in (("median", training["method"]), ("least", "_")):
            median_and_band(axes, training["epochs"], np.array(training[name]), label, look)
        _mark_reached(axes, training, look)
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlim(0, None)
    axes.set_xlabel("epoch")


def _mark_reached(axes: Axes, training: Numbers, look: dict[str, Any]) -> None:
    """A stroke at the median epoch from which on the accuracy is 100%, where most runs got there."""
    reached = [np.inf if epoch is None else epoch for epoch in training["reached"]]
    if np.isfinite(np.median(reached)):
        axes.axvline(float(np.median(reached)), 0.88, 1, color=look["color"], lw=1.4)


def _histograms(axes: Axes, trainings: list[Numbers], when: str) -> None:
    for training in trainings:
        counts = np.array([np.histogram(row, BINS)[0] for row in training[when]])
        look = LOOKS[training["method"]]
        axes.stairs(counts.max(0), BINS, baseline=counts.min(0), fill=True, color=look["color"], alpha=0.18, lw=0)
        axes.stairs(np.median(counts, 0), BINS, lw=1.2, **look)
    axes.set_xlim(0, 1)
    axes.set_xlabel("$R_i$")


def _of(numbers: Numbers, model: str) -> list[Numbers]:
    return [training for training in numbers["trainings"] if training["model"] == model]


def _caption(numbers: Numbers) -> str:
    """What lines, bands and marks are, and the network's numbers beside the printed ones."""
    unmixed = _of(numbers, RELU)[0]
    first, last = (np.array(unmixed[when]) for when in ("start", "end"))
    large = (last > LARGE).sum(1)
    seen = f"ours {np.median(first.min(1)):.1e} to {np.median(last.min(1)):.1e}"
    printed = f"printed {numbers['printed']['start']:.2e} to {numbers['printed']['end']:.2e}"
    return (
        f"{seeds_caption(len(unmixed['seeds']))}; "
        "stroke at the top: half of the runs are at 100% accuracy from there on\n"
        f"{RELU} without mixing: R from start to end {seen} (median), {printed};\n"
        f"points with $R_i$ > {LARGE} at the end: ours {large.min()} to {large.max()}, printed “several”"
    )


FIGURE = Figure(
    id="zhang2021-fig3",
    title="R and R_i in training, for a linear model and a ReLU network on 100 points in R^10",
    source="Zhang et al. (2021), Figure 3",
    compute=compute,
    draw=draw,
    needs="100 points (generated)",
    seconds=20,
    seeds=20,
)
