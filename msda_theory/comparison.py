"""Exact loss against its expansion: both, what is left over, and how much of the augmentation's effect that is."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from torch import Tensor

from msda_theory.augmentation import Augmentation
from msda_theory.exact import ExactLoss, exact_loss
from msda_theory.expansions import TaylorLoss, taylor_loss
from msda_theory.losses import Loss

WIDTH = 100  # columns of the printed table


@dataclass(frozen=True)
class Comparison:
    """An exact MSDA loss and its expansion; prints as a table, in a terminal and in a notebook."""

    exact: ExactLoss
    theory: TaylorLoss
    title: str

    @property
    def effect(self) -> float:
        """What the augmentation adds to the standard loss: exact - L_m."""
        return self.exact.value - self.theory.standard

    @property
    def remainder(self) -> float:
        """What the expansion misses: exact - (L_m + R1 + R2 + R3)."""
        return self.exact.value - self.theory.total

    @property
    def relative_remainder(self) -> float:
        """|remainder| as a share of |effect|: 0 is a perfect expansion, 1 is no better than L_m alone."""
        return abs(self.remainder) / abs(self.effect) if self.effect else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain numbers and strings, for JSON; None for a relative remainder where there is no effect."""
        derived = {k: getattr(self, k) for k in ("effect", "remainder", "relative_remainder")}
        derived = {k: v if math.isfinite(v) else None for k, v in derived.items()}
        theory = {**asdict(self.theory), "total": self.theory.total}
        return {"title": self.title, "exact": asdict(self.exact), "theory": theory, **derived}

    def __rich__(self) -> Table:
        table = Table(title=self.title, title_justify="left", min_width=min(len(self.title), WIDTH))
        table.add_column("quantity")
        table.add_column("value", justify="right")
        table.add_column("note")
        theory, exact = self.theory, self.exact
        table.add_row("standard loss L_m", f"{theory.standard:.10f}", "")
        table.add_row("R1 (slope)", f"{theory.r1:+.10f}", "")
        table.add_row("R2 (gradients)", f"{theory.r2:+.10f}", "")
        table.add_row("R3 (Hessian)", f"{theory.r3:+.10f}", "", end_section=True)
        table.add_row("expansion", f"{theory.total:.10f}", f"{theory.form} form")
        table.add_row("exact", f"{exact.value:.10f}", f"+- {exact.error:.1g}, {exact.method}", end_section=True)
        table.add_row("remainder", f"{self.remainder:+.3e}", f"{self.relative_remainder:.2%} of the effect")
        return table

    def __str__(self) -> str:
        console = Console(file=io.StringIO(), width=WIDTH)
        console.print(self)
        return console.file.getvalue().rstrip()  # type: ignore[attr-defined]

    def _repr_html_(self) -> str:
        console = Console(file=io.StringIO(), record=True, width=WIDTH)
        console.print(self)
        return console.export_html(inline_styles=True, code_format="<pre>{code}</pre>")


def compare(
    model: Callable[[Tensor], Tensor],
    loss: Loss,
    x: Tensor,
    y: Tensor,
    augmentation: Augmentation,
    *,
    as_printed: bool = False,
    **exact_options: Any,
) -> Comparison:
    """`exact_loss` and `taylor_loss` on the same problem; `exact_options` go to `exact_loss`."""
    theory = taylor_loss(model, loss, x, y, augmentation, as_printed=as_printed)
    exact = exact_loss(model, loss, x, y, augmentation, **exact_options)
    return Comparison(exact, theory, f"{loss!r}, {augmentation.mask!r}, {augmentation.ratio!r}")
