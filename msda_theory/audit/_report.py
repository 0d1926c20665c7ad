"""The report of an audit: prints as tables, in a terminal and in a notebook; plain data for JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.console import Group
from rich.table import Table

from msda_theory._shown import WIDTH, Shown
from msda_theory.audit._closed_forms import Fit
from msda_theory.audit._conventions import Line
from msda_theory.audit._hypotheses import Hypothesis
from msda_theory.audit._moments import Estimate
from msda_theory.quadrature import Array

DIGITS = 4  # of the maps in JSON: their bounds are larger than 1e-3


@dataclass(frozen=True)
class Maps:
    """mean, mean_gap (H, W): E[M] and E[M - w]; second (2H-1, 2W-1): a_jk against displacement; each with bounds."""

    mean: Estimate
    mean_gap: Estimate
    second: Estimate


@dataclass(frozen=True)
class AuditReport(Shown):
    """What was found of an augmentation; every bound holds at once with probability 1 - `false_alarm` and more.

    lines       findings in words, each with its figures
    fits        the library's laws against the second moment seen, best first, under the ratio law named
    hypotheses  the theorems, whether met, and why        expansion  the expansion of the loss that is right
    """

    name: str
    shape: tuple[int, int, int]
    batch: int
    draws: int
    seed: int
    false_alarm: float
    ratio: str
    lines: tuple[Line, ...]
    fits: tuple[Fit, ...]
    hypotheses: tuple[Hypothesis, ...]
    expansion: str
    maps: Maps
    notes: tuple[str, ...]

    @property
    def best(self) -> Fit:
        return self.fits[0]

    def __getitem__(self, topic: str) -> Line:
        """The finding of a topic, as in report["label"]."""
        return next(line for line in self.lines if line.topic == topic)

    def to_dict(self) -> dict[str, Any]:
        """Everything as numbers, strings and lists, for JSON; maps rounded to 4 decimals."""
        maps: dict[str, Any] = {}
        for name in ("mean", "mean_gap", "second"):
            estimate: Estimate = getattr(self.maps, name)
            maps[name] = {"value": _rounded(estimate.value), "bound": _rounded(estimate.bound)}
        maps["best fit"] = _rounded(self.best.curve)
        kept = ("name", "shape", "batch", "draws", "seed", "false_alarm", "ratio", "expansion", "notes")
        return {
            **{key: _plain(getattr(self, key)) for key in kept},
            "findings": {line.topic: {"answer": line.answer, **line.figures} for line in self.lines},
            "fits": [
                {"law": fit.law, "misfit": round(fit.misfit, DIGITS), "fits": fit.fits, "such masks": fit.possible}
                for fit in self.fits
            ],
            "hypotheses": [asdict(hypothesis) for hypothesis in self.hypotheses],
            "maps": maps,
        }

    def __rich__(self) -> Group:
        size = " x ".join(map(str, self.shape))
        title = f"{self.name}: {self.draws} draws of {self.batch} images {size}, seed {self.seed}"
        found = Table("", "found", title=title, title_justify="left", min_width=WIDTH)
        for line in self.lines:
            found.add_row(line.topic, line.answer)
        for note in self.notes:
            found.add_row("note", note)
        theory = Table("theorem", "hypotheses", "why", min_width=WIDTH)
        for h in self.hypotheses:
            theory.add_row(h.theorem, h.verdict, h.reason)
        theory.add_row("loss expansion", "", self.expansion)
        return Group(found, theory, f"all bounds hold at once, except with probability {self.false_alarm:g}")


def _rounded(values: Array) -> list[Any]:
    rounded: list[Any] = np.round(values, DIGITS).tolist()
    return rounded


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
