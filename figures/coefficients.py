"""Figure of the coefficients by displacement, E_i a_{i,i+(x,y)}: as printed, and of the mask laws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from figures.definition import Numbers, Settings
from figures.style import PAGE_WIDTH, style
from msda_theory.masks import CutMix, GMix, HMix, MaskLaw, Mixup, Stochastic
from msda_theory.masks.displacement import by_displacement, mean_by_displacement
from msda_theory.masks.printed import cutmix_coefficients, gmix_plane_coefficients, hmix_coefficients

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Picture

Array = NDArray[np.float64]
Maps = dict[str, Array]

SHAPE, RATIO, R, Q = (64, 64), 0.5, 0.7, 0.5
DECIMALS = 9
ROWS = {"printed": "as printed", "law": "of the mask laws"}
RELEASED = "GMix, released"
#: said in the titles of the laws
NOTES = {"CutMix": ", box inside", "HMix": ", box inside", "GMix": ", printed mask"}
LOOKS: dict[str, dict[str, Any]] = {
    "Mixup": {"color": "#000000", "linestyle": "-", "linewidth": 0.8},
    "CutMix": {"color": "#0072B2", "linestyle": "-"},
    "Stochastic": {"color": "#56B4E9", "linestyle": (0, (1, 1.2))},
    "HMix": {"color": "#D55E00", "linestyle": (0, (4, 1.5))},
    "GMix": {"color": "#009E73", "linestyle": (0, (5, 1.2, 1, 1.2))},
    RELEASED: {"color": "#CC79A7", "linestyle": (0, (2, 2))},
}


def mask_laws() -> dict[str, MaskLaw]:
    """As section 4 defines them, the box anywhere inside the image; GMix also as released."""
    return {
        "Mixup": Mixup(SHAPE),
        "CutMix": CutMix(SHAPE, sampler="inside"),
        "Stochastic": Stochastic(SHAPE, q=Q, sampler="inside"),
        "HMix": HMix(SHAPE, r=R, sampler="inside"),
        "GMix": GMix(SHAPE, kernel="printed"),
        RELEASED: GMix(SHAPE, kernel="released"),
    }


def printed() -> dict[str, tuple[str, Tensor]]:
    """Where each coefficient is printed, and its mean by displacement."""
    mixup = by_displacement(Mixup(SHAPE), RATIO)
    cutmix = mean_by_displacement(cutmix_coefficients(SHAPE, RATIO, sampler="printed"), SHAPE)
    hmix = hmix_coefficients(SHAPE, RATIO, r=R, sampler="printed", as_printed=True)
    return {
        "Mixup": ("sec. 4", mixup),
        "CutMix": ("(10)", cutmix),
        "Stochastic": ("sec. 4", Q * cutmix + (1 - Q) * mixup),
        "HMix": ("App. H", mean_by_displacement(hmix, SHAPE)),
        "GMix": ("(11), line 3", mean_by_displacement(gmix_plane_coefficients(SHAPE, RATIO), SHAPE)),
    }


def compute(settings: Settings) -> Numbers:
    """Each coefficient by displacement at lambda = 0.5, 64 x 64 pixels, and the share that is not between."""
    formulas = printed()
    laws = {name: (repr(law), by_displacement(law, RATIO)) for name, law in mask_laws().items()}
    rows = {"printed": _as_numbers(formulas), "law": _as_numbers(laws)}
    return {"shape": SHAPE, "ratio": RATIO, "r": R, "q": Q, "rows": rows}


def _as_numbers(maps: dict[str, tuple[str, Tensor]]) -> Numbers:
    """Displacements of x >= 0 rows and any number y of columns: (-x, -y) has the value of (x, y)."""
    values = {name: each.numpy() for name, (_, each) in maps.items()}
    return {
        name: {
            "of": maps[name][0],
            "not between Mixup and CutMix": float((excess(each, values) > 0).mean()),
            "values": np.round(each[len(each) // 2 :], DECIMALS).tolist(),
        }
        for name, each in values.items()
    }


def excess(value: Array, maps: Maps) -> Array:
    """How far a coefficient is from lying between Mixup's and CutMix's, less what rounding to the file may move."""
    low, high = np.minimum(maps["Mixup"], maps["CutMix"]), np.maximum(maps["Mixup"], maps["CutMix"])
    return np.maximum(low - value, value - high) - 10.0**-DECIMALS


def _maps(row: Numbers) -> Maps:
    halves = {name: np.array(each["values"]) for name, each in row.items()}
    return {name: np.vstack([half[:0:-1, ::-1], half]) for name, half in halves.items()}


def draw(numbers: Numbers) -> Picture:
    """Maps on one colour scale, what is not between hatched; below, the cuts through 0 along a row."""
    from matplotlib.figure import Figure as Picture

    rows = {kind: _maps(numbers["rows"][kind]) for kind in ROWS}
    top = max(float(each.max()) for maps in rows.values() for each in maps.values())
    with style():
        picture = Picture(figsize=(PAGE_WIDTH, 4.9))
        above, below = picture.subfigures(2, 1, squeeze=False, height_ratios=(1.55, 1))[:, 0]
        axes = above.subplots(len(ROWS), len(LOOKS) - 1, sharex=True, sharey=True)
        for row, kind in enumerate(ROWS):
            for ax, name in zip(axes[row], rows[kind], strict=False):
                image = _map(ax, rows[kind][name], rows[kind], top)
                ax.set_title(_title(name, kind, numbers["rows"][kind][name]))
            axes[row, 0].set_ylabel(f"{ROWS[kind]}\nrows apart")
        for ax in axes[-1]:
            ax.set_xlabel("columns apart")
        above.suptitle(_caption(numbers), fontsize=6.5)
        above.colorbar(image, ax=axes, shrink=0.8, label="mean of $a_{jk}$").ax.grid(False)
        for ax, kind in zip(below.subplots(1, len(ROWS), sharey=True), ROWS, strict=True):
            _cut(ax, rows[kind])
            ax.set_title(f"{ROWS[kind]}, pixels in one row")
        below.axes[0].set_ylabel("mean of $a_{jk}$")
        handles, labels = below.axes[-1].get_legend_handles_labels()
        below.legend(handles, labels, loc="outside right center")
    return picture


def _caption(numbers: Numbers) -> str:
    size = " × ".join(map(str, numbers["shape"]))
    return (
        f"$\\lambda$ = {numbers['ratio']:g}, {size} pixels, HMix: $r$ = {numbers['r']:g}, Stochastic: $q$ = "
        f"{numbers['q']:g}; mean over the pairs of pixels in the image; hatched: not between Mixup and CutMix"
    )


def _title(name: str, kind: str, each: Numbers) -> str:
    source = f", {each['of']}" if kind == "printed" else NOTES.get(name, "")
    outside = each["not between Mixup and CutMix"]
    return f"{name}{source}\n" + (f"{outside:.1%} not between" if outside else "")


def _map(ax: Axes, value: Array, maps: Maps, top: float) -> Any:
    height, width = (n // 2 + 0.5 for n in value.shape)
    extent = (-width, width, -height, height)
    outside = excess(value, maps)
    if (outside > 0).any():
        ax.contourf(outside, levels=[0, np.inf], colors="none", hatches=["////"], extent=extent)
        ax.contour(outside, levels=[0], colors="white", linewidths=0.5, extent=extent)
    ax.grid(False)
    ax.spines[:].set_visible(True)
    return ax.imshow(value, vmin=0, vmax=top, extent=extent, origin="lower", interpolation="nearest")


def _cut(ax: Axes, maps: Maps) -> None:
    middle = len(maps["Mixup"]) // 2
    lines = {name: each[middle, each.shape[1] // 2 :] for name, each in maps.items()}
    columns = np.arange(len(lines["Mixup"]))
    ax.fill_between(columns, lines["Mixup"], lines["CutMix"], color="#E6E6E6", lw=0, label="between")
    for name, values in lines.items():
        ax.plot(columns, values, label=name, **LOOKS[name])
    ax.set_xlabel("columns apart")
    ax.margins(x=0)
