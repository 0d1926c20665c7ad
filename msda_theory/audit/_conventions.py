"""What a callable does with labels, ratios, pairs, axes and its input: each a finding in words, with its figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from msda_theory.audit._adapters import Adapter
from msda_theory.audit._bounds import mean_bound, proportion_interval
from msda_theory.audit._draws import NOBODY, Draws, draw
from msda_theory.audit._labels import AuditError
from msda_theory.quadrature import Array

#: labels, areas and ratios are float32 numbers that took a few operations each
SAME = 16 * torch.finfo(torch.float32).eps
FORCED = (0.0, 0.25, 0.5, 0.75, 1.0)
FORCED_DRAWS = 32


@dataclass(frozen=True)
class Line:
    """One finding: what was asked, the answer, and figures ready for JSON."""

    topic: str
    answer: str
    figures: dict[str, Any] = field(default_factory=dict)


def label_rule(draws: Draws) -> Line:
    """ "realised": the own label weighs the area kept; "nominal": a ratio near it; "swapped": what the partner has."""
    if not draws.labelled:
        return Line("label", "none returned: the ratio is read from the area kept", {"rule": "none"})
    area, weight = draws.area[draws.mixed], draws.weight[draws.mixed]
    off, off_swapped = np.abs(weight - area), np.abs(1 - weight - area)
    figures = {"largest |w - area kept|": float(off.max()), "largest |w - area given|": float(off_swapped.max())}
    mean, mean_swapped = off.mean(), off_swapped.mean()
    if off.max() <= SAME:
        rule, words = "realised", "the own label's weight is the area kept"
    elif off_swapped.max() <= SAME:
        rule, words = "swapped", "WRONG WAY ROUND: the own label's weight is the area that the partner has"
    elif mean <= mean_swapped:
        rule, words = "nominal", f"the weight is a ratio of its own, off the area kept by {mean:.3f} on average"
    else:
        rule, words = "swapped", f"WRONG WAY ROUND: the weight is nearer to the partner's area ({mean_swapped:.3f} off)"
    if rule == "realised" and _constant(draws):
        words += " and the nominal ratio: M is constant"
    if draws.strays:
        words += f"; {draws.strays} labels name another partner than the image holds"
    return Line("label", words, {"rule": rule, **figures, "labels of another partner": draws.strays})


def _constant(draws: Draws) -> bool:
    masks = draws.masks[draws.mixed]
    return bool(np.all(masks.max((1, 2)) - masks.min((1, 2)) <= SAME))


def mixes_constantly(draws: Draws) -> bool:
    """M = w 1, to rounding, in every draw: Mixup."""
    gap = np.abs(draws.masks - draws.weight[..., None, None])[draws.mixed]
    return bool(gap.max() <= SAME)


def sharing(draws: Draws) -> tuple[Line, Line]:
    """One ratio and one mask for the batch, for a pair that mixes with each other, or for each output."""
    weights = draws.weight[..., None]
    ratio = _shared(weights, draws)
    mask = _shared(draws.masks.reshape(*draws.mixed.shape, -1), draws)
    return Line("ratio", f"one a {ratio}", {"per": ratio}), Line("mask", f"one a {mask}", {"per": mask})


def _shared(values: Array, draws: Draws) -> str:
    """ "batch" if all outputs of a draw agree, "pair" if those do that are each other's partner, else "sample"."""
    n = draws.mixed.shape[1]
    everyone = mutual = True
    pairs = 0
    for value, partner, mixed in zip(values, draws.partner, draws.mixed, strict=True):
        chosen = value[mixed]
        everyone &= bool(np.all(np.ptp(chosen, axis=0) <= SAME)) if len(chosen) else True
        for i in range(n):
            j = partner[i]
            if j > i and partner[j] == i:
                pairs += 1
                mutual &= bool(np.all(np.abs(value[i] - value[j]) <= SAME))
    return "batch" if everyone else "pair" if mutual and pairs else "sample"


def pairing(draws: Draws, false_alarm: float) -> Line:
    """Whether a sample meets itself, against 1/n, the chance of it in a random permutation."""
    alone, n = ~draws.mixed, draws.mixed.shape[1]
    count = int(alone.any(1).sum())
    low, high = proportion_interval(count, len(alone), false_alarm)
    bound = float(mean_bound(alone.mean(1).var(ddof=1), len(alone), false_alarm, 1))
    figures = {
        "self-pairs": float(alone.mean()),
        "bound": bound,
        "batches with one": [low, high],
        "permutation": 1 / n,
        "fixed": _is_one_pairing(draws),
    }
    if count == 0:
        words = f"no sample meets itself (in at most {high:.2%} of batches)"
    else:
        near = (
            "as often as in a random permutation" if abs(alone.mean() - 1 / n) <= bound else "not as in a permutation"
        )
        words = f"a sample meets itself in {alone.mean():.1%} +- {bound:.1%} of outputs, {near} (1/n = {1 / n:.1%})"
    return Line("pairs", words + ("; the pairing is always the same" if figures["fixed"] else ""), figures)


def _is_one_pairing(draws: Draws) -> bool:
    columns = (column[column != NOBODY] for column in draws.partner.T)
    return all(len(np.unique(column)) <= 1 for column in columns)


def mutation(draws: Draws) -> Line:
    what = [name for name, changed in (("x", draws.x_changed), ("y", draws.labels_changed)) if changed]
    words = f"WRITES to its input {' and '.join(what)}" if what else "leaves its input as it was"
    return Line("input", words, {"x changed": draws.x_changed, "y changed": draws.labels_changed})


def axes(draws: Draws) -> Line:
    """Whether boxes have the image's proportions, from those that no border can have clipped.

    Sides s H and s W, rounded by less than two pixels each (twice half a side), leave |h W - w H| < 2 max(H, W).
    """
    height, width = draws.masks.shape[-2:]
    sides = _free_boxes(draws)
    figures: dict[str, Any] = {"boxes": len(sides)}
    if not len(sides):
        return Line("axes", "no 0/1 rectangle away from the border was seen", figures)
    if height == width:
        return Line("axes", "not tried: H = W; give a shape with H and W apart", figures)
    h, w = sides.T
    off = {
        "proportional": np.abs(h * width - w * height) / max(height, width),
        "swapped": np.abs(h * height - w * width) / max(height, width),
        "square": np.abs(h - w),
    }
    words = {
        "proportional": "boxes have the proportions of the image",
        "swapped": "WRONG: H and W are swapped",
        "square": "boxes are square in pixels, whatever the image",
    }
    figures |= {"highest": int(h.max()), "widest": int(w.max())}
    figures |= {f"{name}, off by pixels": float(gap.max()) for name, gap in off.items()}
    alike = [name for name, gap in off.items() if gap.max() < 2]
    answer = words[alike[0]] if alike else "boxes have neither the image's proportions nor a square's"
    if len(alike) > 1:
        answer = f"not decided by boxes as small as these: {', '.join(alike)}"
    return Line("axes", answer, figures)


def _free_boxes(draws: Draws) -> Array:
    """Sides (k, 2) of the boxes that the partner has, where they touch no border and most masks are boxes.

    (A Gaussian bump may shrink to a pixel, which is no box.)
    """
    masks = draws.masks[draws.mixed]
    masks = masks[np.ptp(masks, axis=(1, 2)) > 0]
    given = masks == 0
    sides = np.stack([given.any(2).sum(1), given.any(1).sum(1)], 1)
    boxes = (given | (masks == 1)).all((1, 2)) & (given.sum((1, 2)) == sides.prod(1))
    edges = given[:, [0, -1]].any((1, 2)) | given[:, :, [0, -1]].any((1, 2))
    return sides[boxes & ~edges] if 2 * boxes.sum() > len(masks) else sides[:0]


def forced(adapter: Adapter, shape: tuple[int, int, int], batch: int, seed: int, false_alarm: float) -> Line:
    """Area kept and label weight at ratios that are set from outside, 0 and 1 among them.

    Of the outputs that were mixed; of all where none was, as at 1.
    """
    if adapter.at_ratio is None:
        return Line("forced ratio", "not controllable from outside (at_ratio=... would say how)")
    rows = {}
    for value in FORCED:
        try:
            drawn = draw(adapter.at_ratio(value), shape, batch, FORCED_DRAWS, seed, false_alarm)
        except AuditError:
            raise
        except (ValueError, TypeError, AssertionError, RuntimeError) as error:
            rows[f"{value:g}"] = f"refused: {type(error).__name__}: {str(error).split('. ')[0]}"
            continue
        seen = drawn.mixed if drawn.mixed.any() else np.ones_like(drawn.mixed)
        area, weight = drawn.area[seen], drawn.weight[seen]
        found = f"area kept {_range(area)}"
        rows[f"{value:g}"] = f"{found}, label weight {_range(weight)}" if drawn.labelled else found
    return Line("forced ratio", "; ".join(f"at {ratio}: {what}" for ratio, what in rows.items()), rows)


def _range(values: Array) -> str:
    low, high = f"{values.min():.4g}", f"{values.max():.4g}"
    return low if low == high else f"{low} .. {high}"
