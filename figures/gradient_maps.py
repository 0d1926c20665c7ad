"""Figures 5 and 6 of Park et al. (2022): products of input gradients by displacement, beside the coefficients.

Fig. 5: for each method max_v |d_v f d_(v+p) f|, gradients scaled to sum to 1, its largest value over the test images as
the paper draws it and its mean, averaged over seeds; below, the paper's coefficient E_i E_D~[a_{i,i+p}].
Fig. 6: the means along |p|.
"""

from __future__ import annotations

import textwrap
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from figures.coefficients import LOOKS
from figures.definition import Numbers, Settings
from figures.image_tables import TEXTURES, conditions, image_figure, recipe_for
from figures.relations import interval
from figures.style import PAGE_WIDTH, median_and_band, seeds_caption, style
from msda_theory._progress import track
from verify.gradient_products import alignment, mean_coefficient, products, score_gradients
from verify.image_runs import augmentation, trained

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Picture

Array = NDArray[np.float64]

METHODS = ("none", "Mixup", "CutMix", "HMix", "GMix")
KINDS = {"largest": "largest image", "mean": "mean over images"}
NO_MIXING: dict[str, Any] = {"color": "#777777", "linestyle": (0, (1, 1))}


@cache
def compute(settings: Settings) -> Numbers:
    """By method a map a seed, largest and mean over the test images; coefficients; displacements (2h-1, 2w-1)."""
    recipe = recipe_for(settings, TEXTURES)
    cases = [(method, seed) for method in METHODS for seed in settings.each_seed]
    maps: dict[str, dict[str, list[Any]]] = {kind: {method: [] for method in METHODS} for kind in KINDS}
    for method, seed in track(cases, "trainings"):
        run = trained(recipe, method, seed)
        height, width = run.data.test_x.shape[-2:]
        found = products(score_gradients(run.model, run.data.test_x, run.data.test_y)).double().cpu()
        for kind, each in (("largest", found.amax(0)), ("mean", found.mean(0))):
            maps[kind][method].append([[float(f"{value:.6g}") for value in row] for row in each.tolist()])
    return {
        "conditions": conditions(recipe, settings),
        "seeds": list(settings.each_seed),
        "products": maps,
        "coefficients": {method: _coefficients(method, (height, width)) for method in METHODS[1:]},
    }


def _coefficients(method: str, shape: tuple[int, int]) -> list[list[float]]:
    mixed = augmentation(method, shape)
    assert mixed is not None
    return np.round(mean_coefficient(mixed, shape).numpy(), 9).tolist()


def draw_maps(numbers: Numbers) -> Picture:
    """Fig. 5: roots of the products, one scale a row; below, the coefficients."""
    from matplotlib.figure import Figure as Picture

    with style():
        picture = Picture(figsize=(PAGE_WIDTH, 4.6))
        axes = picture.subplots(len(KINDS) + 1, len(METHODS), sharex=True, sharey=True)
        for row, (kind, name) in zip(axes, KINDS.items(), strict=False):
            maps = [np.mean(numbers["products"][kind][method], 0) ** 0.5 for method in METHODS]
            images = [_map(ax, each, max(m.max() for m in maps)) for ax, each in zip(row, maps, strict=True)]
            picture.colorbar(images[0], ax=row, shrink=0.85, label=f"root of product,\n{name}").ax.grid(False)
        coefficients = {method: np.array(each) for method, each in numbers["coefficients"].items()}
        top = max(each.max() for each in coefficients.values())
        images = [_map(ax, coefficients[m], top) for ax, m in zip(axes[-1, 1:], METHODS[1:], strict=True)]
        picture.colorbar(images[0], ax=axes[-1], shrink=0.85, label="mean of $a_{jk}$").ax.grid(False)
        axes[-1, 0].set_axis_off()
        for ax, method in zip(axes[0], METHODS, strict=True):
            ax.set_title(_name(method))
        for ax in axes[-1, 1:]:
            ax.set_xlabel("columns apart")
        axes[1, 0].set_ylabel("rows apart")
        picture.supxlabel(_caption(numbers, "means over the seeds"), fontsize=6.5)
    return picture


def _name(method: str) -> str:
    return "no mixing" if method == "none" else method


def _map(ax: Axes, value: Array, top: float) -> Any:
    height, width = (n // 2 + 0.5 for n in value.shape)
    ax.grid(False)
    ax.spines[:].set_visible(True)
    extent = (-width, width, -height, height)
    return ax.imshow(value, vmin=0, vmax=top, extent=extent, origin="lower", interpolation="nearest")


def draw_curves(numbers: Numbers) -> Picture:
    """Fig. 6: the products along |p|, those of a method over those of Mixup, and the coefficients."""
    from matplotlib.figure import Figure as Picture
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    with style():
        picture = Picture(figsize=(PAGE_WIDTH, 2.75))
        left, middle, right = picture.subplots(1, 3)
        means = numbers["products"]["mean"]
        curves = {method: np.array([_by_length(each)[1] for each in means[method]]) for method in METHODS}
        lengths = _by_length(means["none"][0])[0].tolist()
        for method, each in curves.items():
            look = LOOKS.get(method, NO_MIXING)
            median_and_band(left, lengths, each, _name(method), look, shade=0.1)
            if method != "Mixup":
                median_and_band(middle, lengths, each / curves["Mixup"], _name(method), look, shade=0.1)
        for method, each in numbers["coefficients"].items():
            right.plot(*_by_length(each), **LOOKS[method])
        middle.axhline(1, **LOOKS["Mixup"])
        for ax, title in ((left, "product"), (middle, "product, over Mixup's"), (right, "mean of $a_{jk}$")):
            ax.set_title(title)
            ax.set_xlabel("pixels apart, $|p|$")
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        left.set_yscale("log")
        left.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        left.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:.0e}"))
        left.yaxis.set_minor_formatter(NullFormatter())
        spread = seeds_caption(len(numbers["seeds"]))
        handles, labels = left.get_legend_handles_labels()
        picture.legend(handles, labels, loc="outside lower center", ncols=len(METHODS), title=_caption(numbers, spread))
    return picture


def _by_length(values: Any) -> tuple[Array, Array]:
    """Means over the displacements of equal length, rounded to whole pixels: lengths and values."""
    array = np.array(values)
    rows, columns = (np.arange(n) - n // 2 for n in array.shape)
    length = np.rint(np.hypot(rows[:, None], columns)).astype(int)
    kept = np.arange(min(array.shape) // 2 + 1)
    return kept.astype(float), np.array([array[length == k].mean() for k in kept])


def alignments(numbers: Numbers, kind: str, method: str = "CutMix", other: str = "Mixup") -> list[float]:
    """Of each seed: the rank correlation of the methods' ratio of products with their difference of coefficients."""
    difference = torch.tensor(numbers["coefficients"][method]) - torch.tensor(numbers["coefficients"][other])
    mine, theirs = (torch.tensor(numbers["products"][kind][m]) for m in (method, other))
    ratios = mine / theirs.clamp_min(torch.finfo(theirs.dtype).tiny)
    return [alignment(each, difference) for each in ratios]


def finding(numbers: Numbers) -> str:
    """Whether CutMix's products are the smaller against Mixup's the more its coefficient exceeds Mixup's."""
    said = [f"{name} {_found(alignments(numbers, kind))}" for kind, name in KINDS.items()]
    return "rank correlation of CutMix's products over Mixup's with the coefficients' difference: " + "; ".join(said)


def _found(values: list[float]) -> str:
    bounds = interval(values)
    if bounds is None:
        return f"{values[0]:+.2f} (one seed)"
    verdict = "borne out here" if bounds[1] < 0 else "the other way round" if bounds[0] > 0 else "within chance"
    return f"{float(np.mean(values)):+.2f} (95%: {bounds[0]:+.2f} to {bounds[1]:+.2f}), {verdict}"


def _caption(numbers: Numbers, lines: str) -> str:
    text = [
        f"{numbers['conditions']}; {lines}.",
        f"The paper: the products are small where the coefficient is large.  Found: {finding(numbers)}.",
    ]
    return "\n".join(line for paragraph in text for line in textwrap.wrap(paragraph, 150))


FIG5 = image_figure(
    "fig5",
    "Products of input gradients by displacement after training, and the coefficients",
    compute,
    draw_maps,
    of="Figure 5",
    on="textures",
    seconds=140,
)
FIG6 = image_figure(
    "fig6",
    "Products of input gradients after training, along the length of the displacement",
    compute,
    draw_curves,
    of="Figure 6",
    on="textures",
    seconds=140,
)
