"""The first-order term: g = h', q of eq. (1), its approximation (2) and its parts (3)."""

from __future__ import annotations

import sympy as sp
import torch
from flint import fmpq

from msda_theory.losses import SoftmaxCrossEntropy
from msda_theory.mixupe import approximate_first_order_terms, first_order_terms
from msda_theory.symbolic import all_orders
from paper_checks.exact_cases import readable
from paper_checks.findings import DEPENDS, FAILS, Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.mixupe2023.cases import DEGREES, problem
from paper_checks.registry import claim
from verify.problems import digits, fit, network, standard_objective
from verify.tiny_all_orders import Point, PolynomialProblem, at, contracted, integrand
from verify.tiny_relu import TinyRelu, matrix_vector, tiny_relu

OUTPUTS = (2, 3, 4)


@claim("mixupe2023:dh", fault="the softmax, or sigmoid, of -z")
def loss_derivative(trial: Trial) -> Finding:
    """d log(1 + e^z)/dz = e^z/(1 + e^z), and d log sum_k e^(z_k) / dz_t = e^(z_t) / sum_k e^(z_k)."""
    sign = trial.plant(1, -1)
    z = sp.Symbol("z", real=True)
    gaps = [sp.log(1 + sp.exp(z)).diff(z) - sp.exp(sign * z) / (1 + sp.exp(sign * z))]
    for k in OUTPUTS:
        logits = sp.symbols(f"z_1:{k + 1}", real=True)
        h = sp.log(sp.Add(*map(sp.exp, logits)))
        softmax = [sp.exp(sign * v) / sp.Add(*(sp.exp(sign * u) for u in logits)) for v in logits]
        gaps += [h.diff(v) - g for v, g in zip(logits, softmax, strict=True)]
    left = [sp.simplify(g) for g in gaps]
    figures = {"derivatives": len(left), "not reduced to 0": sum(g != 0 for g in left)}
    reason = "for the logistic loss and for cross-entropy with 2, 3 and 4 classes, as a row, as dh is 1 x D"
    return Finding(verdict_of(all(g == 0 for g in left)), reason, Evidence("symbolic", figures))


def tiny_q(p: PolynomialProblem, x: Point, y: Point, sign: int = 1) -> fmpq:
    """(1) over rationals: (h'(f) - y)^T df(x) (E xbar - x)."""
    mean = [sum(column, fmpq(0)) / len(p.x) for column in zip(*p.x, strict=True)]
    f, away = [at(g, x) for g in p.f], [m - v for m, v in zip(mean, x, strict=True)]
    unit = [[fmpq(int(i == k)) for i in range(len(f))] for k in range(len(f))]
    slopes = [contracted(p.h, f, e, 1) - sign * y[k] for k, e in enumerate(unit)]
    return sum((s * contracted(g, x, away, 1) for s, g in zip(slopes, p.f, strict=True)), fmpq(0))


@claim("mixupe2023:eq1", fault="y with the wrong sign")
def first_order(trial: Trial) -> Finding:
    """The coefficient of a in the expansion, in every form of it, against (1)."""
    derivations = [all_orders(2, d, k, fault=trial.plant(None, "label_sign")) for d, k in ((1, 1), (2, 1), (2, 2))]
    gaps = []
    for p in (problem(k, *degrees) for k in (1, 2) for degrees in DEGREES):
        samples = list(zip(p.x, p.y, strict=True))
        mean = sum((tiny_q(p, x, y, trial.plant(1, -1)) for x, y in samples), fmpq(0)) / len(samples)
        gaps += [integrand(p, 3, form)[1] - mean for form in ("plain", "nested", "averaged")]
    figures = {
        "derivations": ", ".join("holds" if d.holds else "FAILS" for d in derivations),
        "rational cases": len(gaps),
        "largest gap": readable(max(gaps, key=abs)),
    }
    holds = all(d.holds for d in derivations) and all(g == 0 for g in gaps)
    reason = (
        "the term of order 1 is E[a]/n sum_i q(x_i), wherever the mean over xbar stands, for all data: no centring is "
        "needed; it is R1 of Zhang et al."
    )
    return Finding(verdict_of(holds), reason, Evidence("symbolic", figures))


def _gap_vector(net: TinyRelu, x: list[fmpq], mean: list[fmpq]) -> list[fmpq]:
    """c of q - qbar = (g - y) . c, whatever g and y are: df(x) E[xbar] - df(x) x + f(x)."""
    jacobian = net.jacobian(x)
    parts = net(x), matrix_vector(jacobian, mean), matrix_vector(jacobian, x)
    return [f + m - v for f, m, v in zip(*parts, strict=True)]


def _gap_vectors(*, biases: bool, centred: bool) -> list[list[fmpq]]:
    net, x = tiny_relu(biases=biases), problem(2, 1, 1, centred=centred).x
    mean = [sum(column, fmpq(0)) / len(x) for column in zip(*x, strict=True)]
    return [_gap_vector(net, list(row), mean) for row in x]


def _on_digits() -> dict[str, str]:
    """mean |q - qbar| / mean |q| for a trained ReLU network with biases, inputs centred."""
    x, y = digits(100)
    x, loss = x - x.mean(0), SoftmaxCrossEntropy()
    model = network("mlp-relu", (8, 8), 10)
    found = {}
    for name in ("at the start", "trained"):
        with torch.no_grad():
            exact, near = first_order_terms(model, loss, x, y), approximate_first_order_terms(model, loss, x, y)
            found[f"digits, biases, {name}: mean |q - qbar| / mean |q|"] = (
                f"{float((exact - near).abs().mean() / exact.abs().mean()):.0%}"
            )
        fit(model, standard_objective(loss, x, y, weight_decay=0.03))
    return found


@claim("mixupe2023:eq2", fault="data that are not centred")
def approximation(trial: Trial) -> Finding:
    """Rational ReLU networks of two layers; softmax is not rational, so (g - y) is left as it is."""
    without = _gap_vectors(biases=False, centred=trial.plant(True, False))
    cases = {
        "biases, centred": _gap_vectors(biases=True, centred=True),
        "no biases, not centred": _gap_vectors(biases=False, centred=False),
    }
    holds = all(c == 0 for row in without for c in row)
    fails = all(any(c != 0 for row in rows for c in row) for rows in cases.values())
    figures = {"no biases, centred: c": _shown(without)}
    figures |= {f"{name}: c": _shown(rows) for name, rows in cases.items()} | _on_digits()
    corrected = _local_constant(trial)
    reason = (
        "q - qbar = (g - y) . c with c = f - df(x) x + df(x) E[xbar].  c = 0 for centred data and a ReLU network "
        "without biases; ReLU alone does not ensure df(x) x = f(x): with biases f(x) - df(x) x is a constant of the "
        "linear piece, and q is not qbar"
    )
    return Finding(DEPENDS if holds and fails else FAILS, reason, Evidence("exact", figures), corrected)


def _local_constant(trial: Trial) -> Corrected:
    """The constant of a linear piece, computed layer by layer with the activations held, is f(x) - df(x) x."""
    net, x = tiny_relu(biases=True), problem(2, 1, 1, centred=True).x
    gaps = []
    for row in x:
        jacobian = net.jacobian(list(row))
        constant = trial.plant(net.constant(list(row)), [fmpq(0)] * 2)
        moved = matrix_vector(jacobian, list(row))
        gaps += [f - c - m for f, c, m in zip(net(list(row)), constant, moved, strict=True)]
    return Corrected(
        "for centred data and any piecewise linear network, q(x) = (y - g)^T (f(x) - c(x)), c(x) = f(x) - df(x) x the "
        "constant of the linear piece: what the biases give with the activations held; q itself costs one directional "
        "derivative",
        verdict_of(all(g == 0 for g in gaps)),
        Evidence("exact", {"gaps": len(gaps), "largest gap": readable(max(gaps, key=abs))}),
    )


def _shown(rows: list[list[fmpq]]) -> str:
    return "; ".join(", ".join(map(str, row)) for row in rows)


@claim("mixupe2023:eq3", fault="g - y without its sign")
def parts(trial: Trial) -> Finding:
    """Two outputs and two coordinates, generic; with g of the whole output, and with g of one coordinate of it."""
    u, v, c, z = (sp.Matrix(sp.symbols(f"{name}_1:3", real=True)) for name in ("u", "v", "c", "z"))
    y, gradients = sp.symbols("y_1:3", real=True), (u, v)
    softmax = [sp.exp(e) / sp.Add(*map(sp.exp, z)) for e in z]
    q = sp.Add(*((g - t) * grad.dot(c) for g, t, grad in zip(softmax, y, gradients, strict=True)))

    def rebuilt(g: list[sp.Expr], sign: int) -> sp.Expr:
        total = sp.S.Zero
        for g_k, t, gradient in zip(g, y, gradients, strict=True):
            cosine = gradient.dot(c) / (gradient.norm() * c.norm())
            total += sign * (g_k - t) * cosine * gradient.norm() * c.norm()
        return total

    whole = sp.simplify(rebuilt(softmax, trial.plant(1, -1)) - q)
    single = sp.simplify(rebuilt([sp.S.One, sp.S.One], 1) - q)  # the softmax of one number is 1
    figures = {"g of f(x), k-th entry": f"gap {whole}", "g of f_k(x) alone": f"gap {single}"}
    reason = (
        "with (g(f(x_i)) - y_i)_k, g of the whole output as in (1), the sum is q wherever the cosines are defined; "
        "printed is g(f_k(x_i)), and the softmax of one number is 1: right for one output (the sigmoid) alone"
    )
    corrected = Corrected(
        "alpha_{k,i} = (g(f(x_i)) - y_i)_k zeta_{k,i}, and 0 where df_k(x_i) = 0 (a dead ReLU), for which zeta is not "
        "defined",
        verdict_of(whole == 0),
        Evidence("symbolic", {"gap": str(whole)}),
    )
    verdict = DEPENDS if whole == 0 and single != 0 else FAILS
    return Finding(verdict, reason, Evidence("symbolic", figures), corrected)
