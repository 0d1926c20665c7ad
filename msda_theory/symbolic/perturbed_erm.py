"""Mixup as perturbed ERM: the split of lambda, Theorem 1 and Lemma 2 of Carratino et al. (2022).

    m_ij(lambda) = l(lambda y_i + (1-lambda) y_j, f(lambda x_i + (1-lambda) x_j)),     theta = max(lambda, 1-lambda)

l and f are unspecified.  Where only sums and products of vectors occur, one symbol stands for any dimension; sums over
the samples and their means are spelled out for n = `samples`.  theta enters through thetabar = E theta and sigma^2 =
Var theta, whatever its law.
"""

from __future__ import annotations

from functools import cache
from itertools import product

import sympy as sp

from msda_theory.symbolic._notation import a, average, b, difference, equation, moments, ratio, require_fault, smooth
from msda_theory.symbolic.derivation import Derivation, Step
from msda_theory.symbolic.ratio_moments import beta_density

SPLIT_FAULTS = ("exchange", "unequal", "label")
PERTURBED_FORM_FAULTS = ("centre", "sign", "exchange")
COVARIANCE_FAULTS = ("square", "own")

PAPER = "Carratino et al."
theta, mean = sp.Symbol("theta", positive=True), sp.Symbol(r"\bar{\theta}", positive=True)
var = sp.Symbol(r"\sigma^{2}", positive=True)
i, j, n = sp.symbols("i j n", integer=True, positive=True)
x, y = sp.IndexedBase("x"), sp.IndexedBase("y")
f, loss = smooth("f", 0), smooth(r"\ell", 0, 0)


def pair(i: sp.Basic, j: sp.Basic, share: sp.Expr) -> sp.Expr:
    """m_ij at the share of sample i."""
    return loss(share * y[i] + (1 - share) * y[j], f(share * x[i] + (1 - share) * x[j]))


def over_theta(expression: sp.Expr) -> sp.Expr:
    """The expectation of a polynomial of degree <= 2 in theta."""
    return average(sp.expand(expression), (theta,), moments((mean,), sp.Matrix([[var + mean**2]])))


@cache
def half_split(*, fault: str | None = None, samples: int = 3) -> Derivation:
    """lambda ~ Beta(alpha, alpha) split into its halves, the lower one folded onto the upper: slides, steps 1-4.

    Faults: "exchange": m_ij for m_ji in the lower half; "unequal": Beta(alpha, beta) for Beta(alpha, alpha); "label":
    the inputs exchanged there, and not the labels.
    """
    require_fault(fault, SPLIT_FAULTS)
    second = b if fault == "unequal" else a
    p, mirrored = beta_density(a, second, theta), beta_density(a, second, 1 - theta)
    density, at_pair = sp.Function("p"), sp.Function("m_{ij}")
    reflected, direct = _reflected(theta, fault), pair(i, j, theta)
    both = equation(_over_pairs((reflected + direct) / 2), _over_pairs(direct))
    any_law = equation(_over_pairs(pair(i, j, 1 - ratio)), _over_pairs(_reflected(ratio, fault)))
    same = equation(_over_pairs(_reflected(ratio, fault)), _over_pairs(pair(i, j, ratio)))
    swap, exchange = equation(at_pair(1 - theta), reflected), pair(i, j, 1 - theta) - reflected
    below = mirrored * pair(i, j, 1 - theta) - p * reflected
    lower = equation(density(1 - theta) * at_pair(1 - theta), density(theta) * reflected)
    return Derivation(
        "The split of lambda into its halves",
        (
            Step("At 1-lambda the samples are exchanged", swap, exchange, _step("3")),
            Step("Symmetry about 1/2", equation(density(1 - theta), density(theta)), mirrored - p, _step("2")),
            _half_masses(second),
            Step("The lower half, lambda = 1-theta", lower, below, _step("2-3")),
            Step("Both halves, over all pairs", both, _explicit(both, samples), _step("4")),
            Step(
                "For every law, theta alone matters",
                (any_law, same),
                (_explicit(any_law, samples), _explicit(same, samples)),
                "ours",
            ),
        ),
    )


def _step(number: str) -> str:
    return f"{PAPER}, step {number}"


def _reflected(share: sp.Expr, fault: str | None) -> sp.Expr:
    """m_ij(1 - share) with the samples exchanged: m_ji(share)."""
    if fault == "label":
        return loss(share * y[i] + (1 - share) * y[j], f(share * x[j] + (1 - share) * x[i]))
    return pair(i, j, share) if fault == "exchange" else pair(j, i, share)


def _half_masses(second: sp.Expr) -> Step:
    """P(lambda >= 1/2) = 1/2, integrated for the parameters (1/2, 1/2), (1, 1), (2, 2); unequal: (1/2, 3/2), ..."""
    upper = sp.Symbol(r"P\left(\lambda\geq\frac{1}{2}\right)")
    shapes = [sp.Rational(1, 2), sp.Integer(1), sp.Integer(2)]
    densities = [beta_density(shape, shape + int(second != a), theta).doit().rewrite(sp.gamma) for shape in shapes]
    gaps = tuple(sp.integrate(p, (theta, sp.Rational(1, 2), 1)) - sp.Rational(1, 2) for p in densities)
    return Step("Each half has probability 1/2", equation(upper, sp.Rational(1, 2)), gaps, _step("2"))


@cache
def perturbed_form(*, fault: str | None = None, samples: int = 3) -> Derivation:
    """Theorem 1: x~, delta, their means, and the loss.

    Faults: "centre": x~_i = xbar + thetabar x_i; "sign": thetabar - theta for theta - thetabar in delta; "exchange":
    theta for 1-theta in delta.
    """
    require_fault(fault, PERTURBED_FORM_FAULTS)
    inputs, labels = ([v[k] for k in range(1, samples + 1)] for v in (x, y))
    of_inputs, of_labels = _Perturbed(inputs, fault), _Perturbed(labels, fault)
    own, other = range(samples), list(product(range(samples), repeat=2))
    centre, moved, delta = sp.symbols(r"\bar{x} \tilde{x}_{i} \delta_{i}")
    centred = equation(moved, centre + mean * (x[i] - centre))
    shifted = equation(delta, (theta - mean) * x[i] + (1 - theta) * x[j] - (1 - mean) * centre)
    sums = equation(moved + delta, theta * x[i] + (1 - theta) * x[j])
    zero = equation(sp.Symbol(r"\mathbb{E}_{\theta,j}\delta_{i}"), sp.S.Zero)
    whole = equation(sp.Symbol(r"\mathcal{E}^{\mathrm{Mixup}}"), sp.Symbol(r"\mathcal{E}^{\mathrm{perturbed}}"))
    expected = tuple(of_inputs.expected(k) - of_inputs.centre(k) for k in own)
    mixed = tuple(
        of_inputs.centre(k) + of_inputs.delta(k, r) - theta * inputs[k] - (1 - theta) * inputs[r] for k, r in other
    )
    means = tuple(of.mean_delta(k) for k in own for of in (of_inputs, of_labels))
    terms = sp.Add(*(loss(of_labels.moved(k, r), f(of_inputs.moved(k, r))) for k, r in other)) / samples**2
    pairs = sp.Add(*(pair(k + 1, r + 1, theta) for k, r in other)) / samples**2
    theorem = f"{PAPER}, Theorem 1"
    return Derivation(
        "Mixup as perturbed ERM",
        (
            Step("The mean of the mixed input", centred, expected, theorem),
            Step("The perturbation", (shifted, sums), mixed, theorem),
            Step("It has mean zero", zero, means, theorem),
            Step("The loss, at every theta", whole, terms - pairs, theorem),
        ),
    )


class _Perturbed:
    """x~_i and delta_i for given samples (or labels), as Theorem 1 prints them."""

    def __init__(self, samples: list[sp.Expr], fault: str | None) -> None:
        self.samples, self.fault = samples, fault
        self.average = sp.Add(*samples) / len(samples)

    def centre(self, i: int) -> sp.Expr:
        off = self.samples[i] if self.fault == "centre" else self.samples[i] - self.average
        return self.average + mean * off

    def delta(self, i: int, j: int) -> sp.Expr:
        own = mean - theta if self.fault == "sign" else theta - mean
        other = theta if self.fault == "exchange" else 1 - theta
        return own * self.samples[i] + other * self.samples[j] - (1 - mean) * self.average

    def moved(self, i: int, j: int) -> sp.Expr:
        return sp.expand(self.centre(i) + self.delta(i, j))

    def expected(self, i: int) -> sp.Expr:
        """E[theta x_i + (1-theta) x_j] over theta and j."""
        mixed = (theta * self.samples[i] + (1 - theta) * r for r in self.samples)
        return over_theta(sp.Add(*mixed) / len(self.samples))

    def mean_delta(self, i: int) -> sp.Expr:
        return over_theta(sp.Add(*(self.delta(i, r) for r in range(len(self.samples)))) / len(self.samples))


@cache
def perturbation_covariances(*, fault: str | None = None, samples: int = 3) -> Derivation:
    """Lemma 2, entry by entry, in the modified samples as printed.

    Every entry of the three matrices is E[u v] for two coordinates u, v of (delta, eps), which are numbers s and t of
    the samples here: s = t, and s unlike t.  Faults: "square": gamma^2 = sigma^2 + 1 - thetabar; "own": the term of
    sample i left out.
    """
    require_fault(fault, COVARIANCE_FAULTS)
    s, t = ([sp.Symbol(f"{name}_{k}") for k in range(1, samples + 1)] for name in "st")
    titles = {"xx and yy, a diagonal entry": (s, s), "xx, xy and yy, any other entry": (s, t)}
    statement, lemma = _covariance_statement(), f"{PAPER}, Lemma 2"
    steps = (Step(title, statement, _gaps(*of, fault), lemma) for title, of in titles.items())
    return Derivation("The covariances of the perturbations", tuple(steps))


def _gaps(s: list[sp.Expr], t: list[sp.Expr], fault: str | None) -> tuple[sp.Expr, ...]:
    """E[delta eps] less the printed covariance, for each sample."""
    first, second, size = _Perturbed(s, None), _Perturbed(t, None), len(s)
    one_less = 1 - mean
    gamma = var + (one_less if fault == "square" else one_less**2)
    own = sp.S.Zero if fault == "own" else var
    modified = [[p.centre(k) - p.average for k in range(size)] for p in (first, second)]
    spread = sp.Add(*(u * v for u, v in zip(*modified, strict=True))) / size
    gaps = []
    for k in range(size):
        true = over_theta(sp.Add(*(first.delta(k, r) * second.delta(k, r) for r in range(size))) / size)
        gaps.append(true - sp.expand(own * modified[0][k] * modified[1][k] + gamma * spread) / mean**2)
    return tuple(gaps)


def _covariance_statement() -> sp.Equality:
    joint = sp.Symbol(r"\mathbb{E}_{\theta,j}\delta_{i}\varepsilon_{i}^{\top}")
    outer = sp.Symbol(r"(\tilde{x}_{i}-\bar{x})(\tilde{y}_{i}-\bar{y})^{\top}")
    spread = sp.Symbol(r"\gamma^{2}") * sp.Symbol(r"\Sigma_{\tilde{x}\tilde{y}}")
    return equation(joint, (var * outer + spread) / mean**2)


def _over_pairs(summand: sp.Expr) -> sp.Expr:
    return sp.Sum(summand, (i, 1, n), (j, 1, n)) / n**2


def _explicit(statement: sp.Equality, samples: int) -> sp.Expr:
    return difference(statement).subs(n, samples).doit()
