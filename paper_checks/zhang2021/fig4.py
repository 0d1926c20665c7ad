"""Fig. 4 and App. C.2: the adversarial loss and its second-order approximation on two-moons, eps sqrt(d) = 0.5.

Trained with the adversarial loss, the ReLU network has a gap above a fifth of what the attack adds in about one run of
seven (10 of 74).  Whether most runs stay below is therefore asked of the first answer to lead by LEAD
(`paper_checks.lead`), which is the wrong one with probability 4e-7, and with less than 1e-4 for any share up to 0.24.
In all other comparisons the runs agree.
"""

from __future__ import annotations

from functools import cache

from paper_checks.findings import DEPENDS, FAILS, HOLDS, Evidence, Finding, Trial
from paper_checks.lead import until_clear
from paper_checks.registry import claim
from paper_checks.training_curves import CLOSE, close, shown, without_regularisers
from verify.adversarial_runs import AttackedCurves, train_on_attacks, train_under_attack
from verify.training_runs import RunCurves, Spread, summary

NETWORKS = {"logistic": "logistic regression", "mlp-relu": "two-layer ReLU network"}
SEEDS, LEAD, RECORDS = 3, 8, 12
#: how a network that meets the attack was trained; "by_exact": with the adversarial loss, "by_mixup": by the Mixup loss
TRAINED = {"by_exact": "adversarial", "by_mixup": "Mixup", "by_standard": "standard"}
GAPS = {
    "same_by_exact_largest": "apart by at most",
    "same_by_exact_median": "in the median over training",
    "effect_by_exact_largest": "at most, of what the attack adds",
}


@cache
def _runs(model: str, seed: int) -> tuple[AttackedCurves, ...]:
    return tuple(train_under_attack(model, seed + k, records=RECORDS) for k in range(SEEDS))


@cache
def _on_attacks(model: str, seed: int, k: int) -> RunCurves:
    """Run k along the training with the adversarial loss alone."""
    return _runs(model, seed)[k].along("by_exact") if k < SEEDS else train_on_attacks(model, seed + k, records=RECORDS)


@claim("zhang2021:fig4", fault="the attack's two terms dropped: the standard loss for the approximation")
def figure4(trial: Trial) -> Finding:
    """Trained with the adversarial loss, as the text says; and trained without an attack, as networks mostly are."""
    figures: dict[str, str | float] = {"close means within": CLOSE, "seeds": SEEDS}
    under_attack, without = [], []
    for model, name in NETWORKS.items():
        runs = _runs(model, trial.seed)
        own = _summary(list(runs), trial)["own_train_largest"]
        figures |= shown(f"{name}, each under its own loss: apart by at most", own, SEEDS)
        gaps = {path: _summary([run.along(path) for run in runs], trial) for path in TRAINED}
        for path, loss in TRAINED.items():
            for key, words in GAPS.items():
                figures |= shown(f"{name}, trained with the {loss} loss: {words}", gaps[path][key], SEEDS)
        answer, asked = _mostly_close(model, trial)
        figures[f"{name}, trained with the adversarial loss: close in most runs"] = f"{answer}, after {asked}"
        under_attack += [close(own), answer]
        without.append(_close_along(gaps["by_standard"]))
    reason = (
        "read as training with the adversarial loss, which keeps the slope small, (5) and (6) stay within a fifth of "
        "the exact loss; read as a statement about networks trained without an attack, they do for logistic "
        "regression, but for the ReLU network they fall to a third of the exact loss: both derivatives vanish at "
        "samples that are told apart with confidence, and do not see an attack that takes f across zero"
    )
    return Finding(_verdict(all(under_attack), all(without)), reason, Evidence("empirical", figures))


def _summary(runs: list[RunCurves], trial: Trial) -> dict[str, Spread]:
    """Gap statistics; the planted fault takes the standard loss for the approximation."""
    return summary([without_regularisers(run) for run in runs] if trial.faulty else runs)


def _mostly_close(model: str, trial: Trial) -> tuple[bool | None, int]:
    """Whether both losses are close along the training with the adversarial one, in most runs; after how many."""
    runs, (answer,) = until_clear(
        lambda k: _on_attacks(model, trial.seed, k), [lambda run: _close_along(_summary([run], trial))], LEAD
    )
    return answer, len(runs)


def _close_along(found: dict[str, Spread]) -> bool:
    """At equal parameters, all along: within a fifth of the exact loss, and of what the attack adds to it."""
    return close(found["same_by_exact_largest"]) and close(found["effect_by_exact_largest"])


def _verdict(under_attack: bool, without: bool) -> str:
    if not under_attack:
        return FAILS
    return HOLDS if without else DEPENDS
