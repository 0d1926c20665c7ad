"""kornia's MixUp and CutMix: what their documentation says, against the masks that `msda_theory.audit` recovers."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from scipy.stats import beta as beta_law
from scipy.stats import kstest, uniform
from torch import Tensor, nn

from msda_theory.audit import Draws, distribution_bound, draw_masks, draw_shares, proportion_interval
from msda_theory.masks import CutMix
from msda_theory.quadrature import Array
from paper_checks.findings import DEPENDS, FAILS, Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.registry import claim
from verify.tolerances import FALSE_ALARM, rounding

KORNIA = f"kornia {version('kornia')}"
SHAPE = (3, 8, 12)
#: a label's weight and a mask's mean are float32 numbers of a few operations each
SAME = rounding(torch.float32, 1.0, 8)


def _augmentation(name: str, **options: Any) -> nn.Module:
    import kornia.augmentation

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "RandomCutMixV2 currently uses", DeprecationWarning)
        made: nn.Module = getattr(kornia.augmentation, name)(data_keys=["input", "class"], **options)
    return made


def _kind(kind: str, figures: dict[str, Any]) -> Evidence:
    return Evidence(kind, {"library": KORNIA, **figures})


@claim("peers:kornia-mixup-mean-mask", fault="lambda for 1-lambda as the own label's weight")
def mixup_mean(trial: Trial) -> Finding:
    drawn = draw_masks(_augmentation("RandomMixUpV2"), SHAPE, draws=200, seed=trial.seed)
    weight = trial.plant(drawn.weight, 1 - drawn.weight)[..., None, None]
    gap = float(np.abs(drawn.masks - weight)[drawn.mixed].max())
    figures = {"masks": int(drawn.mixed.sum()), "largest |M_j - w|": gap, "rounding": SAME}
    reason = f"{KORNIA}: every recovered mask is constant, and the weight that its documented loss gives the own label"
    return Finding(verdict_of(gap <= SAME), reason, _kind("deterministic", figures))


@claim("peers:kornia-mixup-ratio-law", fault="alpha = 0.2, of mixup's own experiments, for the uniform law")
def mixup_ratio(trial: Trial) -> Finding:
    """One ratio a call, so that they are independent; Dvoretzky, Kiefer and Wolfowitz bound the distance of laws."""
    wide, narrow = (_partner_shares(trial, limits) for limits in ((0.0, 1.0), (0.2, 0.7)))
    usual = trial.plant(uniform.cdf, beta_law(0.2, 0.2).cdf)
    bound = distribution_bound(min(len(wide), len(narrow)), FALSE_ALARM / 3)
    distances = {
        "default lambda_val to Beta(1, 1)": float(kstest(wide, usual).statistic),
        "lambda_val=(0.2, 0.7) to U[0.2, 0.7]": float(kstest(narrow, uniform(0.2, 0.5).cdf).statistic),
        "default lambda_val to Beta(0.2, 0.2)": float(kstest(wide, beta_law(0.2, 0.2).cdf).statistic),
    }
    is_uniform = all(d <= bound for d in list(distances.values())[:2])
    other = distances["default lambda_val to Beta(0.2, 0.2)"] > bound
    variances = {"Var U[l, u] at most": 1 / 12, "Var Beta(0.2, 0.2)": 1 / (4 * 1.4)}
    figures = {"ratios": len(wide), **distances, "bound": bound, "false-alarm rate": FALSE_ALARM, **variances}
    reason = (
        f"{KORNIA}: with alpha = 1 it is: lambda is uniform on lambda_val, [0, 1] by default, one draw a row.  For any "
        f"other alpha it is not: nothing sets alpha, and no uniform law is Beta(alpha, alpha) (for alpha < 1 its "
        f"variance 1/(4 (2 alpha + 1)) is above 1/12)"
    )
    return Finding(DEPENDS if is_uniform and other else FAILS, reason, _kind("statistical", figures))


def _partner_shares(trial: Trial, limits: tuple[float, float]) -> Array:
    """1 - M of the first mixed output of each call: the ratio in the sense of lambda_val."""
    drawn = draw_masks(_augmentation("RandomMixUpV2", lambda_val=limits), (3, 1, 1), draws=400, seed=trial.seed)
    used = drawn.mixed.any(1)
    return np.asarray(1 - drawn.area[used, drawn.mixed[used].argmax(1)])


@claim("peers:kornia-cutmix-mean-mask", fault="the law of a box that wraps around the border")
def cutmix_mean(trial: Trial) -> Finding:
    """At lambda = 1/2 some pixels are never kept, and the masks are those of the library's law, all of them."""
    ratio = 0.5
    given = _augmentation("RandomCutMixV2", cut_size=(ratio, ratio), use_correct_lambda=True)
    drawn = draw_masks(given, SHAPE, draws=200, seed=trial.seed)
    law = CutMix(SHAPE[1:], sampler=trial.plant("inside", "torus"))
    seen, printed = _distinct(drawn), {m.numpy().tobytes() for m in law.atoms(ratio).masks.bool()}
    cut = (drawn.masks[drawn.mixed] == 0).all(0)
    _, most = proportion_interval(0, int(drawn.used.sum()), FALSE_ALARM / cut.size)
    figures = {
        "lambda": ratio,
        "pixels in every box": int(cut.sum()),
        "their E[M], at most": most,
        "false-alarm rate": FALSE_ALARM,
    }
    agreed = {"masks recovered": int(drawn.mixed.sum()), "distinct": len(seen), "of the law": len(printed)}
    corrected = Corrected(
        "E[M_j] = 1 - P(box covers j), the box at one of the (H - h + 1)(W - w + 1) positions inside the image: the "
        "library's CutMix(sampler='inside')",
        verdict_of(seen == printed),
        _kind("deterministic", agreed),
    )
    reason = f"{KORNIA}: boxes lie inside the image, so at lambda = 1/2 they all cover its middle, where E[M] is 0"
    return Finding(verdict_of(not (cut.any() and most < ratio)), reason, _kind("statistical", figures), corrected)


def _distinct(drawn: Draws) -> set[bytes]:
    return {mask.astype(bool).tobytes() for mask in drawn.masks[drawn.mixed]}


LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "(1-lambda) l(own) + lambda l(partner), RandomMixUpV2's": lambda column: 1 - column,
    "lambda l(own) + (1-lambda) l(partner), the CutMix paper's": lambda column: column,
}


@claim("peers:kornia-cutmix-label", fault="lambda for 1-lambda in both losses")
def cutmix_label(trial: Trial) -> Finding:
    gaps = {
        f"{loss} loss, use_correct_lambda={flag}": _label_gap(flag, own, trial)
        for loss, own in LOSSES.items()
        for flag in (False, True)
    }
    right = [gap <= SAME for gap in gaps.values()]
    reason = (
        f"{KORNIA}: the column is the cut area by default and the kept area with use_correct_lambda=True, both "
        f"exactly.  With the loss that the documentation prints for RandomMixUpV2 only the default weighs the labels "
        f"by their areas, with the CutMix paper's only use_correct_lambda=True does; no one loss serves RandomMixUpV2 "
        f"and the correct form, in which lambda changes sides"
    )
    verdict = DEPENDS if right == [True, False, False, True] else FAILS
    figures = {f"largest |w - area|, {name}": gap for name, gap in gaps.items()}
    return Finding(verdict, reason, _kind("deterministic", figures))


def _label_gap(flag: bool, own: Callable[[Tensor], Tensor], trial: Trial) -> float:
    given = _augmentation("RandomCutMixV2", use_correct_lambda=flag)

    def mix(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        images, labels = given(x, y)
        rows = labels.reshape(-1, 3)
        weight = own(rows[:, 2])
        return images, rows[:, 0], rows[:, 1], trial.plant(weight, 1 - weight)

    drawn = draw_masks(mix, SHAPE, draws=60, seed=trial.seed, labels="classes")
    return float(np.abs(drawn.weight - drawn.area)[drawn.mixed].max())


@claim("peers:kornia-cutmix-nonsquare", fault="height and width exchanged")
def cutmix_axes(trial: Trial) -> Finding:
    wrong, boxes = [], 0
    for height, width in ((8, 12), (12, 8), (6, 18)):
        for ratio in (0.3, 0.5, 0.7, 0.85):
            h, w = (math.floor(math.sqrt(1 - ratio) * n) for n in trial.plant((height, width), (width, height)))
            given = _augmentation("RandomCutMixV2", cut_size=(ratio, ratio), use_correct_lambda=True)
            drawn = draw_masks(given, (3, height, width), draws=15, seed=trial.seed)
            sides = [(int(m.any(1).sum()), int(m.any(0).sum())) for m in drawn.masks[drawn.mixed] == 0]
            boxes += len(sides)
            wrong += [f"{height} x {width}, lambda={ratio}: {s[0]} x {s[1]}" for s in set(sides) - {(h, w)}]
    figures = {"boxes": boxes, "of other sides": len(wrong), "first": wrong[0] if wrong else "none"}
    reason = f"{KORNIA}: every recovered box has the documented sides, on wide and on high images"
    return Finding(verdict_of(not wrong), reason, _kind("deterministic", figures))


@claim("peers:kornia-cutmix-num-mix", fault="the first mix for the last")
def cutmix_twice(trial: Trial) -> Finding:
    rows = _cut_twice(trial.seed)
    which = trial.plant(1, 0)
    last = max(abs(row["share"][which] - row["area"][which]) for row in rows)
    apart = [row for row in rows if abs(row["own"] + sum(row["area"]) - 1) <= SAME]
    first_apart = max(abs(row["share"][0] - row["area"][0]) for row in apart)
    worst = max(rows, key=lambda row: abs(row["share"][0] - row["area"][0]))
    off = abs(worst["share"][0] - worst["area"][0])
    is_area, is_share = max(last, first_apart) <= SAME, off <= SAME
    figures = {
        "outputs": len(rows),
        "largest |share - a_2|": last,
        "outputs whose boxes are apart": len(apart),
        "largest |share - a_1|, boxes apart": first_apart,
        "largest |share - a_1|": off,
        "there": str(worst),
    }
    reason = (
        f"{KORNIA}: as the area of each mix's own box, as the Convention block defines it, lambda is right.  As the "
        f"label's share of the image, which it is in the CutMix paper, it is right for the last mix only: a later box "
        f"covers an earlier one, whose lambda stays as it was, and the shares do not follow from the class output"
    )
    verdict = DEPENDS if is_area and not is_share else FAILS
    return Finding(verdict, reason, _kind("deterministic", figures))


@cache
def _cut_twice(seed: int) -> tuple[dict[str, Any], ...]:
    """Area fractions of the class output and shares of the image, of outputs made from three different samples."""
    given = _augmentation("RandomCutMixV2", num_mix=2, use_correct_lambda=False)
    returned: list[Tensor] = []

    def mix(x: Tensor, y: Tensor) -> Tensor:
        images, labels = given(x, y)
        returned.append(labels)
        out: Tensor = images
        return out

    rows = []
    for call in range(40):
        shares = draw_shares(mix, SHAPE, seed=1000 * seed + call, labels="classes").shares.mean((2, 3))
        for output, (first, second) in enumerate(zip(*returned[-1].tolist(), strict=True)):
            partners = int(first[1]), int(second[1])
            if len({output, *partners}) == 3:
                share = [float(shares[output, k]) for k in partners]
                own = float(shares[output, output])
                rows.append({"call": call, "output": output, "own": own, "area": [first[2], second[2]], "share": share})
    return tuple(rows)
