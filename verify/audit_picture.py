"""The maps of audit reports: mean mask, second moment against displacement, the best fit, and what is left over."""

from __future__ import annotations

import io
from collections.abc import Sequence
from textwrap import fill
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure

from msda_theory.audit import AuditReport

FORMATS = {".png": "png", ".pdf": "pdf", ".svg": "svg"}
#: no date, so that the same reports give the same file
UNDATED: dict[str, dict[str, None]] = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}
WIDTH, ROW, DPI = 7.0, 1.5, 110
TITLE = 30  # characters a line
RC: dict[Any, Any] = {
    "font.size": 6.5,
    "axes.titlesize": 6.5,
    "figure.titlesize": 7.5,
    "figure.constrained_layout.use": True,
    "pdf.fonttype": 42,
}


def picture(reports: Sequence[AuditReport], form: str) -> bytes:
    """A row a report: E[M], a seen, a of the best fit, and their difference in units of its bound."""
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(WIDTH, ROW * len(reports) + 0.2))
        FigureCanvasAgg(figure)
        for part, report in zip(figure.subfigures(len(reports), 1, squeeze=False)[:, 0], reports, strict=True):
            part.suptitle(report.name)
            _draw(part, report)
        target = io.BytesIO()
        figure.savefig(target, format=form, dpi=DPI, metadata=UNDATED[form])
    return target.getvalue()


def _draw(figure: SubFigure, report: AuditReport) -> None:
    second, fit = report.maps.second, report.best
    top = float(max(second.value.max(), fit.curve.max()))
    height, width = report.shape[1:]
    around = (-width + 0.5, width - 0.5, height - 0.5, -height + 0.5)
    scaled = (second.value - fit.curve) / second.bound
    shown = [
        ("E[M]", report.maps.mean.value, None, (0.0, 1.0), "viridis"),
        ("a against (dx, dy): seen", second.value, around, (0.0, top), "magma"),
        (fit.law, fit.curve, around, (0.0, top), "magma"),
        ("difference / bound", scaled, around, (-1.0, 1.0), "RdBu"),
    ]
    for axes, (title, values, extent, (low, high), colours) in zip(figure.subplots(1, 4), shown, strict=True):
        image = axes.imshow(values, vmin=low, vmax=high, cmap=colours, extent=extent, interpolation="nearest")
        axes.set_title(fill(title, TITLE))
        figure.colorbar(image, ax=axes, shrink=0.8)
