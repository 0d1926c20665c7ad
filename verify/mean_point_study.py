"""`python -m verify.mean_point_study --out DIR`: when is which expansion close, and when does it break down?

The exact MSDA loss of small trained networks against its expansion about the data, about the mean mixed points, and
about the mean point of both roles (a sample keeps its label, in either role; `augmentation.seen` has its moments).
Written are DIR/mean_point_study.md and .json.  Everything is seeded.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

import msda_theory as mt
from msda_theory._model import outputs
from msda_theory._progress import track
from msda_theory.expansions.moves import moves_about_means
from msda_theory.expansions.second_order import terms_of_moves
from msda_theory.losses import Loss
from verify.files import require_writable, write_atomically
from verify.problems import MODELS, digits, fit, loss_for, network, standard_objective, two_moons

NAME = "mean_point_study"
COMMAND = "python -m verify.mean_point_study --out docs/results"
SEEDS, SAMPLES, RTOL = (0, 1), 20, 1e-3
ALPHAS = (0.2, 0.5, 1.0, 4.0)
#: the smaller one lets the networks all but interpolate
DECAYS = (0.03, 0.001)
SIDE = 4
BROKEN = 0.25
ABOUT = {"data": "data", "mean_points": "mean points", "both_roles": "both roles"}


@dataclass(frozen=True)
class Setting:
    """One row: data, mask, network, its weight decay and alpha = beta."""

    data: str
    mask: str
    model: str
    decay: float
    alpha: float


@dataclass(frozen=True)
class Row:
    """Medians over the seeds: effect = exact - L_m, |remainder| / |effect| of each expansion, third order / second."""

    setting: Setting
    effect: float
    data: float
    mean_points: float
    both_roles: float
    trust_data: float | None
    trust_mean_points: float | None


def mask_laws(data: str) -> dict[str, mt.masks.MaskLaw]:
    if data == "two-moons":
        return {"Mixup": mt.masks.Mixup((2,))}
    shape = (SIDE, SIDE)
    return {
        "Mixup": mt.masks.Mixup(shape),
        "CutMix, inside": mt.masks.CutMix(shape, sampler="inside"),
        "CutMix, clip": mt.masks.CutMix(shape, sampler="clip"),
        "HMix, r = 0.5": mt.masks.HMix(shape, r=0.5, sampler="inside"),
        "GMix, printed": mt.masks.GMix(shape, kernel="printed"),
    }


def samples(data: str, seed: int) -> tuple[Tensor, Tensor]:
    """Two-moons, or digits averaged to SIDE x SIDE pixels, which keeps the exact loss cheap."""
    if data == "two-moons":
        return two_moons(SAMPLES, seed=seed)
    x, y = digits(SAMPLES, seed=seed)
    return avg_pool2d(x, 8 // SIDE), y


def study(
    alphas: Sequence[float] = ALPHAS, decays: Sequence[float] = DECAYS, seeds: Sequence[int] = SEEDS
) -> list[Row]:
    problems = list(product(("two-moons", "digits"), MODELS, decays))
    return [row for problem in track(problems, "study") for row in _rows(*problem, alphas, seeds)]


def _rows(data: str, model: str, decay: float, alphas: Sequence[float], seeds: Sequence[int]) -> Iterator[Row]:
    trained = [_trained(data, model, decay, seed) for seed in seeds]
    for (mask, law), alpha in product(mask_laws(data).items(), alphas):
        augmentation = mt.Augmentation(mt.Beta(alpha, alpha), law)
        found = [_measured(*problem, augmentation) for problem in trained]
        medians = {key: _median(one[key] for one in found) for key in found[0]}
        yield Row(Setting(data, mask, model, decay, alpha), **medians)  # type: ignore[arg-type]


def _median(values: Iterable[float | None]) -> float | None:
    there = [v for v in values if v is not None]
    return statistics.median(there) if there else None


def _trained(data: str, name: str, decay: float, seed: int) -> tuple[nn.Module, Loss, Tensor, Tensor]:
    x, y = samples(data, seed)
    loss, width = loss_for(y)
    model = network(name, tuple(x.shape[1:]), width, seed=seed)
    return fit(model, standard_objective(loss, x, y, weight_decay=decay)), loss, x, y


def _measured(
    model: nn.Module, loss: Loss, x: Tensor, y: Tensor, augmentation: mt.Augmentation
) -> dict[str, float | None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mt.ZeroHessianNotice)
        result = mt.compare(model, loss, x, y, augmentation, rtol=RTOL)
    both = abs(result.exact.value - about_both_roles(model, loss, x, y, augmentation)) / abs(result.effect)
    trust = result.trust
    return {
        "effect": result.effect,
        "data": result.relative_remainder,
        "mean_points": result.relative_mean_point_remainder,
        "both_roles": both,
        "trust_data": trust.data.ratio if trust.data else None,
        "trust_mean_points": trust.mean_points.ratio if trust.mean_points else None,
    }


def about_both_roles(
    model: Callable[[Tensor], Tensor], loss: Loss, x: Tensor, y: Tensor, augmentation: mt.Augmentation
) -> float:
    """1/m sum_i l(p_i, y_i) + tr(V_i nabla^2 l(p_i, y_i))/2, p_i and V_i its mean and covariance in both roles."""
    seen, flat = augmentation.seen(), x.flatten(1)
    points = (flat + seen.first.to(x) * (flat.mean(0) - flat)).reshape(x.shape)
    moves = moves_about_means(seen.first, seen.second, x)
    with torch.no_grad():
        labels = loss.prepare(y, outputs(model, x))
        return float(terms_of_moves(model, loss, points, labels, moves).total)


def summary(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """A network: in how many settings each expansion is the closest, its median and worst, and how often it breaks."""
    table = {}
    for model in dict.fromkeys(row.setting.model for row in rows):
        own = [row for row in rows if row.setting.model == model]
        closest = [min(ABOUT, key=lambda k: getattr(row, k)) for row in own]
        for about in ABOUT:
            values = [getattr(row, about) for row in own]
            table[f"{model}, {ABOUT[about]}"] = {
                "settings": len(own),
                "closest": closest.count(about),
                "broken": sum(v > BROKEN for v in values),
                "median": statistics.median(values),
                "worst": max(values),
            }
    return table


def markdown(rows: Sequence[Row]) -> str:
    lines = [
        "# Three expansions of the MSDA loss against the exact loss",
        "",
        f"    {COMMAND}",
        "",
        f"{SAMPLES} samples; digits averaged to {SIDE} x {SIDE} pixels; networks trained without augmentation, loss + "
        f"decay/2 |theta|^2; lambda ~ Beta(alpha, alpha); medians of {len(SEEDS)} seeds.  Remainders are shares of the "
        f"effect exact - L_m: 0 % is perfect, 100 % no better than L_m.  An expansion counts as broken above "
        f"{BROKEN:.0%}.  third/second: the size of the next order against this one (none for ReLU, whose kinks no "
        f"derivative sees).  Both roles: about the mean point of a sample that keeps its label in either role.",
        "",
        "| network, expansion about | settings | closest | broken | median | worst |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, s in summary(rows).items():
        lines.append(
            f"| {name} | {s['settings']} | {s['closest']} | {s['broken']} | {s['median']:.1%} | {s['worst']:.1%} |"
        )
    head = "data | mask | network | decay | alpha | effect | data | mean points | both roles"
    lines += [
        "",
        f"| {head} | third/second, data | mean points |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    return "\n".join([*lines, *map(_line, rows)]) + "\n"


def _line(row: Row) -> str:
    s = row.setting
    shares = " | ".join(f"{getattr(row, about):.1%}" for about in ABOUT)
    trust = " | ".join("" if v is None else f"{v:.2g}" for v in (row.trust_data, row.trust_mean_points))
    return f"| {s.data} | {s.mask} | {s.model} | {s.decay:g} | {s.alpha:g} | {row.effect:.4f} | {shares} | {trust} |"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m verify.mean_point_study", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="an existing folder for both files")
    folder = parser.parse_args(argv).out
    try:
        for kind in ("md", "json"):
            require_writable(folder / f"{NAME}.{kind}", "--out")
    except ValueError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 2
    rows = study()
    report = {"schema": 1, "command": COMMAND, "seeds": SEEDS, "samples": SAMPLES, "summary": summary(rows)}
    text = json.dumps({**report, "rows": [asdict(row) for row in rows]}, indent=1, allow_nan=False)
    write_atomically(folder / f"{NAME}.json", text + "\n")
    write_atomically(folder / f"{NAME}.md", markdown(rows))
    print(markdown(rows).split("\n| data |")[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
