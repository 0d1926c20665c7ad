"""Figure of masks outside [0, 1]: Mixup with ratios below 0, and a draw of the Gaussian mask of Theorem 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from linear_operator.operators import (
    KroneckerProductLinearOperator,
    LinearOperator,
    MatmulLinearOperator,
    SumLinearOperator,
    to_linear_operator,
)

from figures.definition import Numbers, Settings
from figures.photographs import CREDIT, Image, as_text, from_text, photographs, show
from figures.style import COLUMN_WIDTH, style
from msda_theory.masks import Gaussian

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture

MIXUP_RATIOS = (-0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75)
GAUSSIAN_RATIOS = (0.5, 0.75)
#: pixels over which the Gaussian mask varies
LENGTH = 16.0
#: between which values a mask is kept; three standard deviations at lambda = 1/2
LOW, HIGH = -1.0, 2.0


def near_and_far(shape: tuple[int, int], ratio: float) -> LinearOperator:
    """A_jk = (1-lambda)^2 + lambda (1-lambda) exp(-||j-k||^2 / (2 LENGTH^2)).

    Near pixels have 1-lambda, as a 0/1 mask of mean lambda has, and distant ones (1-lambda)^2, as Mixup has.
    """
    rows, columns = (_bell(n) for n in shape)
    mean = to_linear_operator(torch.full((len(rows) * len(columns), 1), 1 - ratio, dtype=torch.float64))
    near = KroneckerProductLinearOperator(to_linear_operator(ratio * (1 - ratio) * rows), to_linear_operator(columns))
    return SumLinearOperator(near, MatmulLinearOperator(mean, mean.mT))


def _bell(n: int) -> torch.Tensor:
    pixel = torch.arange(n, dtype=torch.float64)
    return torch.exp(-((pixel.unsqueeze(-1) - pixel) ** 2) / (2 * LENGTH**2))


def compute(settings: Settings) -> Numbers:
    """M x_1 + (1-M) x_2 for M = lambda 1 and for Gaussian masks, and the share of pixels to be clipped."""
    first, second = photographs()
    height, width = first.shape[:2]
    law = Gaussian((height, width), lambda ratio: near_and_far((height, width), ratio))
    return {
        "photographs": CREDIT,
        "first": as_text(first),
        "mixup": [_mixed(first, second, ratio, ratio) for ratio in MIXUP_RATIOS],
        "second moment": f"(1-lambda)^2 + lambda (1-lambda) exp(-||j-k||^2 / (2 {LENGTH:g}^2))",
        "gaussian": [_drawn(law, first, second, ratio, settings.seed) for ratio in GAUSSIAN_RATIOS],
    }


def _mixed(first: Image, second: Image, ratio: float, mask: Image | float) -> Numbers:
    mixed = mask * first + (1 - mask) * second
    clipped = ((mixed < 0) | (mixed > 1)).any(-1).mean()
    return {"ratio": ratio, "clipped": float(clipped), "image": as_text(mixed)}


def _drawn(law: Gaussian, first: Image, second: Image, ratio: float, seed: int) -> Numbers:
    mask = law.sample(torch.tensor([ratio], dtype=torch.float64), seed)[0].numpy()
    outside = ((mask < 0) | (mask > 1)).mean()
    kept = {"mask": as_text(mask, LOW, HIGH), "mean of the mask": float(mask.mean()), "outside": float(outside)}
    return _mixed(first, second, ratio, mask[..., None]) | kept


def draw(numbers: Numbers) -> Picture:
    """One picture a lambda, and the first photograph; last row: masks and what they mix."""
    from matplotlib.figure import Figure as Picture

    with style():
        picture = Picture(figsize=(COLUMN_WIDTH, 3.15))
        axes = picture.subplots(3, 4).flat
        for panel in numbers["mixup"]:
            show(next(axes), from_text(panel["image"]), f"{_ratio(panel)}\n{_percent(panel['clipped'])} clipped")
        show(next(axes), from_text(numbers["first"]), "$\\lambda$ = 1\n0% clipped")
        for panel in numbers["gaussian"]:
            title = f"{_ratio(panel)}\n{_percent(panel['outside'])} outside"
            show(next(axes), from_text(panel["mask"]), title, **_mask_look())
            show(next(axes), from_text(panel["image"]), f"{_ratio(panel)}\n{_percent(panel['clipped'])} clipped")
        picture.supxlabel(
            "$M$ temple + (1 \N{MINUS SIGN} $M$) flower; clipped: share of pixels with a channel\n"
            "outside [0, 1], which is clipped to be shown.  Rows 1, 2: $M$ = $\\lambda$; row 3:\n"
            "$M$ drawn from the Gaussian law of Theorem 2, blue < 0, orange > 1",
            fontsize=6.5,
        )
    return picture


def _ratio(panel: Numbers) -> str:
    return f"$\\lambda$ = {panel['ratio']:g}".replace("-", "\N{MINUS SIGN}")


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"


def _mask_look() -> dict[str, Any]:
    """Grey from 0 to 1, colours outside."""
    from matplotlib import colormaps

    zero, one = (255 * (value - LOW) / (HIGH - LOW) for value in (0, 1))
    return {"cmap": colormaps["gray"].with_extremes(under="#0072B2", over="#D55E00"), "vmin": zero, "vmax": one}
