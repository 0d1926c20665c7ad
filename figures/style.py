"""One style for all figures: made for a text column 3.5 inches wide, or a page of 7, legible there without scaling.

Lines are told apart by colour (Okabe and Ito's palette, safe for the colour-blind) and by dashes, so also in
grey.  Fonts are embedded as TrueType.  pyplot is not used, so the user's backend stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMN_WIDTH, PAGE_WIDTH = 3.5, 7.0

# looks of lines
EXACT = {"color": "#0072B2", "linestyle": "-"}  # blue
APPROXIMATE = {"color": "#D55E00", "linestyle": (0, (4, 1.5))}  # vermillion
BOTH = {
    "color": "#009E73",
    "linestyle": (0, (1, 1.2)),
}  # bluish green: trained with one loss, seen by the other

RC = {
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "legend.title_fontsize": 6.5,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "lines.linewidth": 1.2,
    "hatch.linewidth": 0.6,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.linewidth": 0.4,
    "grid.color": "#DDDDDD",
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
}


def style() -> AbstractContextManager[None]:
    """Matplotlib's defaults with the settings above, while a figure is drawn and saved."""
    import matplotlib

    usual: dict[Any, Any] = {name: v for name, v in matplotlib.rcParamsDefault.items() if name != "backend"}
    return matplotlib.rc_context(usual | RC)


def median_and_band(
    axes: Axes, x: Sequence[float], curves: NDArray[np.float64], label: str, look: dict[str, Any], shade: float = 0.18
) -> None:
    """The median of curves (seeds, points) over the seeds as a line, from the smallest to the largest as a band."""
    axes.fill_between(x, curves.min(0), curves.max(0), color=look["color"], alpha=shade, lw=0)
    axes.plot(x, np.median(curves, 0), label=label, **look)


def seeds_caption(seeds: int) -> str:
    """What the lines and bands of `median_and_band` are."""
    return f"line: median of {seeds} seeds, band: smallest to largest" if seeds > 1 else "one seed"
