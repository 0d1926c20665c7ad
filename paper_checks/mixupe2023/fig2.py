"""Fig. 2: the least alpha_{k,i} of eq. (3) over samples and classes, during training with Mixup.

The paper trains residual networks on CIFAR-10 and draws one line each.  Ours: a ReLU layer and two convolutions on
digits (`verify.mixupe_training`), three seeds each; "early" is the first tenth of the iterations, and the claim holds
if the least alpha is negative there at every recorded iteration of every seed.
"""

from __future__ import annotations

from functools import cache

from paper_checks.findings import Evidence, Finding, Trial, verdict_of
from paper_checks.registry import claim
from verify.mixupe_training import ARCHITECTURES, Run, alphas, train

SEEDS, EARLY, RECORDS = 3, 0.1, 20


@cache
def _runs(architecture: str, seed: int) -> tuple[Run, ...]:
    return tuple(train("Mixup", architecture, seed + k, alphas, records=RECORDS) for k in range(SEEDS))


@claim("mixupe2023:fig2", fault="the largest alpha for the least")
def figure2(trial: Trial) -> Finding:
    figures: dict[str, str | int] = {"early": f"the first {EARLY:.0%} of the iterations", "seeds": SEEDS}
    all_early, all_last = [], []
    for name in ARCHITECTURES:
        runs = _runs(name, trial.seed)
        curves = [run.curves[trial.plant("least", "largest")] for run in runs]
        early = [v for curve, run in zip(curves, runs, strict=True) for v in _early(curve, run)]
        last, shares = [curve[-1] for curve in curves], [run.curves["negative"][-1] for run in runs]
        all_early += early
        all_last += last
        figures |= {
            f"{name}: least alpha, early": f"{min(early):.2f} to {max(early):.2f}",
            f"{name}: least alpha, at the end": f"{min(last):.2f} to {max(last):.2f}",
            f"{name}: share of alpha < 0 at the end": f"{min(shares):.0%} to {max(shares):.0%}",
        }
    reason = (
        "the least alpha is judged at every recorded iteration of the first tenth, for every seed and both networks"
    )
    if max(all_last) < 0:
        reason += "; it is negative at the end of training too: this is no matter of the initial phase alone"
    return Finding(verdict_of(max(all_early) < 0), reason, Evidence("empirical", figures))


def _early(values: tuple[float, ...], run: Run) -> list[float]:
    limit = EARLY * run.iterations[-1]
    return [v for v, t in zip(values, run.iterations, strict=True) if t <= limit]
