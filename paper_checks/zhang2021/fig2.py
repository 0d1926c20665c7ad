"""Fig. 2: logistic regression and a two-layer ReLU network on two-moons, trained with either Mixup loss."""

from __future__ import annotations

from paper_checks.findings import DEPENDS, FAILS, HOLDS, Evidence, Finding, Trial
from paper_checks.registry import claim
from paper_checks.training_curves import CLOSE, LEAD, mostly_close, shown
from verify.training_runs import summary

NETWORKS = {"logistic": "logistic regression", "mlp-relu": "two-layer ReLU network"}


@claim("zhang2021:fig2", fault="R1, R2 and R3 dropped")
def figure2(trial: Trial) -> Finding:
    """Both networks under their own loss, as drawn; the paper leaves noise, width, step and length of training open."""
    figures, answers = {"close means": f"within {CLOSE:.0%}, in most runs: the first answer to lead by {LEAD}"}, []
    for model, name in NETWORKS.items():
        answer, runs = mostly_close(model, "mixup", trial)
        answers.append(answer)
        found, seeds = summary(runs), len(runs)
        figures |= shown(f"{name}: curves apart by at most, as drawn", found["own_train_largest"], seeds)
        figures |= shown(
            f"{name}: at equal parameters, share of what mixing adds", found["effect_by_exact_final"], seeds
        )
        figures |= shown(
            f"{name}: excess exact loss after training with the approximation", found["excess_final"], seeds
        )
    reason = (
        "for logistic regression the curves stay within a fifth of each other; for the ReLU network, whose Hessian "
        "term is zero and whose kinks the expansion misses, the approximate loss falls well below the exact one"
    )
    verdict = FAILS if None in answers or not any(answers) else HOLDS if all(answers) else DEPENDS
    return Finding(verdict, reason, Evidence("empirical", figures))
