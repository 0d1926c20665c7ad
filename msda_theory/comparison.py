"""Exact loss against two expansions: what each leaves over, how much of the effect that is, and the next order."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.table import Table
from torch import Tensor

from msda_theory._shown import WIDTH, Shown
from msda_theory.augmentation import Augmentation
from msda_theory.exact import ExactLoss, exact_loss
from msda_theory.expansions.mean_point import MeanPointLoss, mean_point_loss
from msda_theory.expansions.next_order import NextOrder, Trust, radius_of_trust
from msda_theory.expansions.second_order import TaylorLoss, taylor_loss
from msda_theory.losses import Loss

COLUMNS = ("quantity", "exact", "expansion about the data", "about the mean points")


@dataclass(frozen=True)
class Comparison(Shown):
    """An exact MSDA loss, its expansion about the data (`theory`) and that about the mean mixed points.

    Prints as a table, in a terminal and in a notebook.
    """

    exact: ExactLoss
    theory: TaylorLoss
    title: str
    mean_point: MeanPointLoss
    trust: Trust

    @property
    def effect(self) -> float:
        """What the augmentation adds to the standard loss: exact - L_m."""
        return self.exact.value - self.theory.standard

    @property
    def remainder(self) -> float:
        """What the expansion about the data misses: exact - (L_m + R1 + R2 + R3)."""
        return self.exact.value - self.theory.total

    @property
    def mean_point_remainder(self) -> float:
        """What the expansion about the mean mixed points misses."""
        return self.exact.value - self.mean_point.total

    @property
    def remainder_error(self) -> float:
        """The errors of both sides of the remainder, as the root of the sum of their squares."""
        return math.hypot(self.exact.error, self.theory.error)

    @property
    def mean_point_remainder_error(self) -> float:
        return math.hypot(self.exact.error, self.mean_point.error)

    @property
    def relative_remainder(self) -> float:
        """|remainder| as a share of |effect|: 0 is a perfect expansion, 1 is no better than L_m alone."""
        return self._share(self.remainder)

    @property
    def relative_mean_point_remainder(self) -> float:
        return self._share(self.mean_point_remainder)

    def _share(self, remainder: float) -> float:
        return abs(remainder) / abs(self.effect) if self.effect else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain numbers and strings, for JSON; None for what is not finite, as without an effect."""
        theory = {**asdict(self.theory), "total": self.theory.total}
        remainders = {
            "remainder": self.mean_point_remainder,
            "remainder_error": self.mean_point_remainder_error,
            "relative_remainder": self.relative_mean_point_remainder,
        }
        report = {
            "title": self.title,
            "exact": asdict(self.exact),
            "theory": theory,
            **{k: getattr(self, k) for k in ("effect", "remainder", "remainder_error", "relative_remainder")},
            "mean_point": {**asdict(self.mean_point), "total": self.mean_point.total, **remainders},
            "trust": {
                "data": _order_numbers(self.trust.data),
                "mean_points": _order_numbers(self.trust.mean_points),
                "reason": self.trust.reason,
            },
        }
        return _finite(report)

    def __rich__(self) -> Table:
        table = Table(title=self.title, title_justify="left", min_width=min(len(self.title), WIDTH))
        table.add_column(COLUMNS[0])
        for name in COLUMNS[1:]:
            table.add_column(name, justify="right")
        theory, mean, exact = self.theory, self.mean_point, self.exact
        table.add_row("standard loss L_m", "", f"{theory.standard:.10f}", "")
        table.add_row("loss at the mean points", "", "", f"{mean.standard:.10f}")
        table.add_row("R1 (slope)", "", f"{theory.r1:+.10f}", "")
        table.add_row("label and point", "", "", f"{mean.label:+.10f}")
        table.add_row("R2 (gradients)", "", f"{theory.r2:+.10f}", f"{mean.r2:+.10f}")
        table.add_row("R3 (Hessian)", "", f"{theory.r3:+.10f}", f"{mean.r3:+.10f}", end_section=True)
        table.add_row("loss", f"{exact.value:.10f}", f"{theory.total:.10f}", f"{mean.total:.10f}")
        form = f"{theory.form} form{_spread(theory.error, ', ')}"
        table.add_row("", f"+- {exact.error:.1g}, {exact.method}", form, _spread(mean.error), end_section=True)
        table.add_row("remainder", "", f"{self.remainder:+.3e}", f"{self.mean_point_remainder:+.3e}")
        if theory.error or mean.error:
            errors = self.remainder_error, self.mean_point_remainder_error
            table.add_row("", "", *(f"+- {error:.1e}" for error in errors))
        shares = (self.relative_remainder, self.relative_mean_point_remainder)
        table.add_row("", "", *(f"{share:.2%} of the effect" for share in shares), end_section=True)
        orders = self.trust.data, self.trust.mean_points
        if not self.trust.reason:
            table.add_row("third order / second", "", *map(_ratio_text, orders))
            table.add_row("radius of trust", "", *map(_radius_text, orders))
        else:
            table.caption, table.caption_justify = f"radius of trust: {self.trust.reason}", "left"
        return table


def _spread(error: float, before: str = "") -> str:
    """The standard error of an expansion whose moves were drawn."""
    return f"{before}+- {error:.1g}" if error else ""


def _ratio_text(order: NextOrder | None) -> str:
    return "" if order is None else f"{order.ratio:.2g} +- {order.ratio_error:.1g}"


def _radius_text(order: NextOrder | None) -> str:
    return "" if order is None else f"{order.radius:.2g}"


def _order_numbers(order: NextOrder | None) -> dict[str, float] | None:
    if order is None:
        return None
    return {k: getattr(order, k) for k in ("third", "error", "second", "ratio", "ratio_error", "radius")}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def compare(
    model: Callable[[Tensor], Tensor],
    loss: Loss,
    x: Tensor,
    y: Tensor,
    augmentation: Augmentation,
    *,
    as_printed: bool = False,
    directions: int | None = None,
    seed: int | np.random.Generator | None = None,
    **exact_options: Any,
) -> Comparison:
    """`exact_loss`, `taylor_loss` and `mean_point_loss` on the same problem; `exact_options` go to `exact_loss`.

    `as_printed` concerns the expansion about the data.  With `directions` both expansions draw so many moves, for
    images of any size; what is drawn for the three losses is independent.  Beside both expansions stands how far the
    next order reaches (`radius_of_trust`).

    >>> import torch
    >>> from msda_theory import Beta, losses, masks
    >>> x = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    >>> mixup = Augmentation(Beta(1.0, 1.0), masks.Mixup((1,)))
    >>> found = compare(lambda x: x, losses.Squared(), x, x, mixup)
    >>> round(found.effect, 12), abs(found.remainder) < 1e-12
    (0.166666666667, True)
    """
    about_data, about_means = np.random.default_rng(seed).spawn(2)
    theory = taylor_loss(model, loss, x, y, augmentation, as_printed=as_printed, directions=directions, seed=about_data)
    mean_point = mean_point_loss(model, loss, x, y, augmentation, directions=directions, seed=about_means)
    exact = exact_loss(model, loss, x, y, augmentation, seed=seed, **exact_options)
    trust = radius_of_trust(model, loss, x, y, augmentation, theory, mean_point)
    return Comparison(exact, theory, f"{loss!r}, {augmentation.mask!r}, {augmentation.ratio!r}", mean_point, trust)
