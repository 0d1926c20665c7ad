"""App. D.2, eq. (27): MSDA of the hidden layer of a two-layer ReLU network, squared loss, over rational numbers.

The covariates are z^_i = (M (s_i - sbar) + (1-M) (s_r - sbar)) / E[M], s = relu(W x), the mask on the hidden units as
in (14), and f of them is theta_1.z + theta_0.
"""

from __future__ import annotations

from itertools import product

from flint import fmpq

from paper_checks.exact_cases import HALF, RATIOS
from paper_checks.findings import Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.least_squares import over_points
from paper_checks.park2022.coefficients import largest
from paper_checks.park2022.rescaled_variance import mean_mask, printed
from paper_checks.registry import claim
from paper_checks.tiny_network import TinyNetwork, dot, quadratic_form, tiny_network
from verify.tiny_laws import Number, TinyLaw, bernoulli, mixup
from verify.tiny_problems import BetaInt, TinyProblem, average, mixed

LAWS = (mixup(3), bernoulli(3))


def covariates(net: TinyNetwork) -> TinyProblem:
    """The centred features as data of their own."""
    zeros = [[fmpq(0) for _ in net.units] for _ in net.units]
    return TinyProblem(net.centred, net.y, net.theta, zeros, p=fmpq(0), q=fmpq(2))


def head_loss(net: TinyNetwork, law: TinyLaw, ratio: BetaInt) -> Number:
    """E (1/m) sum_i (theta_1.z^_i + theta_0 - y_i)^2: every mask, every partner."""
    scale = mean_mask(law, ratio)
    return over_points(covariates(net), law, ratio, scale, lambda z, y: (dot(net.theta, z) + net.bias - y) ** 2)


def feature_form(net: TinyNetwork, law: TinyLaw, ratio: BetaInt, trial: Trial, *, shifted: bool = True) -> Number:
    """(1/m) sum_i theta_1^T Var(z^_i) theta_1 by the law of total variance; `shifted`: s_i - sbar beside Var(M).

    The display below (27) has sigma(W x_i) there.
    """
    beside = net.centred if shifted else net.features
    forms = [
        quadratic_form(net.theta, printed(covariates(net), law, ratio, s, mean_mask(law, ratio), trial=trial))
        for s in beside
    ]
    return sum(forms) / fmpq(len(forms))


def input_form(net: TinyNetwork, ratio: BetaInt) -> Number:
    """(1/m) sum_i theta_1^T Var(relu(W (M x_i + (1-M) r))) theta_1, as (27) prints it: Bernoulli masks."""

    def variance_for(x: list[Number]) -> Number:
        def of(power: int) -> Number:
            def at(_: Number, mask: list[Number]) -> Number:
                outputs = [dot(net.theta, net.hidden(mixed(mask, x, r))) for r in net.x]
                return sum(u**power for u in outputs) / fmpq(len(outputs))

            return average(bernoulli(2), ratio.tilted_density, at)

        return of(2) - of(1) ** 2

    return sum(variance_for(list(x)) for x in net.x) / fmpq(len(net.x))


def readings(net: TinyNetwork, law: TinyLaw, ratio: BetaInt) -> dict[str, Number]:
    """What (27) adds, read with one slip put right after the other; inputs are mixed by Bernoulli masks only."""
    found = {
        "features mixed, with the 1/2": feature_form(net, law, ratio, Trial()) * HALF,
        "sigma(W x_i) beside Var(M), without it": feature_form(net, law, ratio, Trial(), shifted=False),
    }
    if law is LAWS[1]:
        inputs = input_form(net, ratio)
        found |= {"inputs mixed, with the 1/2": inputs * HALF, "inputs mixed, without it": inputs}
    return found


@claim("park2022:eq27", fault="E[1-M] E[1-M]^T for E[(1-M)(1-M)^T]")
def two_layer_loss(trial: Trial) -> Finding:
    net = tiny_network()
    figures: dict[str, str] = {}
    wrong, right = [], []
    for law, ratio in product(LAWS, RATIOS):
        added = head_loss(net, law, ratio) - net.standard_loss(net.centred)
        found = readings(net, law, ratio)
        wrong += [added - value for value in found.values()]
        right.append(added - feature_form(net, law, ratio, trial))
        name = f"{law.name}, Beta({ratio.a},{ratio.b})"
        figures[f"{name}: loss at z^ less (f-y)^2"] = str(added)
        figures[f"{name}: (27) adds"] = "; ".join(f"{k}: {v}" for k, v in found.items())
    figures["network"] = str(net)
    corrected = Corrected(
        "(1/m) sum_i (f(x_i) - y_i)^2 + (1/m) sum_i theta_1^T Var(z^_i) theta_1, without the 1/2 (with it, for the "
        "loss (f-y)^2/2), where Var(z^_i) = (E[(1-M)(1-M)^T] * Sigma-hat^sigma + (s_i - sbar)(s_i - sbar)^T * Var(M)) "
        "/ lambda-bar^2, entrywise, is that of the centred covariates z^_i, the mask on the hidden units: exactly the "
        "loss at z^_i, f taken at s_i - sbar",
        verdict_of(all(g == 0 for g in right)),
        Evidence("exact", {"loss at z^ less it": largest(right), "cases": len(right)}),
    )
    reason = (
        "for the printed loss (f-y)^2 the second order has A''/2 = 1, not 1/2; the variance is printed of "
        "sigma(W(M x_i + (1-M) r)), inputs mixed and not rescaled, where the text mixes the centred features; and "
        "below it stands sigma(W x_i) Var(M) sigma(W x_i)^T, not centred.  Each of them alone makes (27) wrong"
    )
    return Finding(verdict_of(not all(g != 0 for g in wrong)), reason, Evidence("exact", figures), corrected)
