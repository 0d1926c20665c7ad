"""Fig. 2: logistic regression and a two-layer ReLU network on two-moons, trained with either Mixup loss."""

from __future__ import annotations

from paper_checks.findings import DEPENDS, FAILS, HOLDS, Evidence, Finding, Trial
from paper_checks.registry import claim
from paper_checks.training_curves import CLOSE, close, shown, statistics

NETWORKS = {"logistic": "logistic regression", "mlp-relu": "two-layer ReLU network"}


@claim("zhang2021:fig2", fault="R1, R2 and R3 dropped")
def figure2(trial: Trial) -> Finding:
    """Both networks under their own loss, as drawn; the paper leaves noise, width, step and length of training open."""
    figures, verdicts = {"close means": f"within {CLOSE:.0%}"}, []
    for model, name in NETWORKS.items():
        found = statistics(model, "mixup", trial)
        verdicts.append(close(found["own_train_largest"]))
        figures |= shown(f"{name}: curves apart by at most, as drawn", found["own_train_largest"])
        figures |= shown(f"{name}: at equal parameters, share of what mixing adds", found["effect_by_exact_final"])
        figures |= shown(f"{name}: excess exact loss after training with the approximation", found["excess_final"])
    reason = (
        "for logistic regression the curves stay within a fifth of each other; for the ReLU network, whose Hessian "
        "term is zero and whose kinks the expansion misses, the approximate loss falls well below the exact one"
    )
    verdict = {(True, True): HOLDS, (True, False): DEPENDS, (False, True): DEPENDS}.get(
        (verdicts[0], verdicts[1]), FAILS
    )
    return Finding(verdict, reason, Evidence("empirical", figures))
