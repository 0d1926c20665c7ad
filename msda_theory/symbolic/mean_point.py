"""The expansion of the MSDA loss about mean mixed points, from its definition (4) in Park et al., for every mask law.

leading form  ->  mean point  ->  spread and coupling  ->  terms of first and second order  ->  where they are exact

For one sample x with label y, m = x + n * (rbar - x), ybar = y + w (mean label - y), delta and eta what deviates:

    label = -sum_j S_j d_j f,   R2 = h''/2 sum_jk V_jk d_j f d_k f,   R3 = (h' - ybar)/2 sum_jk V_jk d_jk f

at m, with V_jk = E[delta_j delta_k] and S_j = E[delta_j eta].  Carratino et al., On Mixup regularization, have it for
Mixup.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import product

import sympy as sp

from msda_theory.symbolic._notation import average, difference, equation, ratio, require_fault, smooth
from msda_theory.symbolic.derivation import Derivation, Step
from msda_theory.symbolic.rewriting import M, _explicit, _over_pairs, _spelled_out, i, j, loss, x, y

MEAN_POINT_FAULTS = ("share", "label", "point", "spread", "coupling", "half", "sign")

Table = Mapping[tuple[int, ...], sp.Expr]
D = 2
POINT, LABEL = tuple(sp.symbols("m_1:3")), sp.Symbol(r"\bar{y}")
DELTA, ETA = tuple(sp.symbols("delta_1:3")), sp.Symbol("eta")
V = sp.Matrix(D, D, lambda j, k: sp.Symbol(f"V_{min(j, k) + 1}{max(j, k) + 1}"))
S = tuple(sp.symbols("S_1:3"))
T = sp.Matrix(D, D, lambda j, k: sp.Symbol(rf"\mathbb{{E}}[\eta\delta_{{{min(j, k) + 1}}}\delta_{{{max(j, k) + 1}}}]"))
PAIRS = list(product(range(D), repeat=2))


@cache
def mean_point(*, fault: str | None = None) -> Derivation:
    """The whole chain in two coordinates, Carratino's case, and where the expansion is exact.

    Faults: "share": N = 1-M whichever sample leads; "label": the partner's label weight 1-lambda likewise; "point":
    1-n for n; "spread": E[delta delta^T] without the square of the mean move; "coupling": E[omega N] taken as
    E[omega] E[N]; "half": the terms without their factor 1/2; "sign": +y for -y.
    """
    require_fault(fault, MEAN_POINT_FAULTS)
    steps = (_leading(fault), *_deviations(fault), _mixup(fault), _taylor(fault), *_exact(fault))
    return Derivation("The expansion about mean mixed points", steps)


def _leading(fault: str | None) -> Step:
    """The pair read from either sample; where the second leads, i and j are exchanged under the sum."""
    share = 1 - M if fault == "share" else M
    omega = 1 - ratio if fault == "label" else ratio
    pair = loss(M * x[i] + (1 - M) * x[j], ratio * y[i] + (1 - ratio) * y[j])
    first = loss(x[i] + (1 - M) * (x[j] - x[i]), y[i] + (1 - ratio) * (y[j] - y[i]))
    second = loss(x[i] + share * (x[j] - x[i]), y[i] + omega * (y[j] - y[i]))
    lines = equation(_over_pairs(pair), _over_pairs(first)), equation(_over_pairs(pair), _over_pairs(second))
    relabelled = pair.subs({i: j, j: i}, simultaneous=True) - second
    gaps = _spelled_out(difference(equation(pair, first))), _spelled_out(relabelled), _explicit(lines[1], 3)
    title = "Leading form: N = 1-M where the first leads, M where the second does"
    return Step(title, lines, gaps, "for Mixup: Carratino et al., Theorem 1")


class _Moves:
    """x + N (r-x) and y + omega (y_r - y) of one sample, in symbols for the moments of what is random."""

    def __init__(self, fault: str | None) -> None:
        self.x, self.r, self.N = (sp.symbols(f"{name}_1:3") for name in ("x", "r", "N"))
        self.y, self.partner, self.omega = sp.symbols(r"y y_r omega")
        self.mean, self.mean_label = sp.symbols(r"\bar{r}_1:3"), sp.Symbol(r"\bar{y_r}")
        self.n, self.w, self.b = sp.symbols("n_1:3"), sp.Symbol("w"), sp.symbols("b_1:3")
        self.A = sp.Matrix(D, D, lambda j, k: sp.Symbol(f"A_{min(j, k) + 1}{max(j, k) + 1}"))
        self.Q = sp.Matrix(D, D, lambda j, k: sp.Symbol(rf"\mathbb{{E}}[r_{min(j, k) + 1}r_{max(j, k) + 1}]"))
        self.P = sp.symbols(r"\mathbb{E}[r_1y_r] \mathbb{E}[r_2y_r]")
        shares = tuple(1 - n for n in self.n) if fault == "point" else self.n
        self.drift = tuple(n * (r - x) for n, r, x in zip(shares, self.mean, self.x, strict=True))
        self.shift = self.w * (self.mean_label - self.y)
        self.fault = fault

    @property
    def deviations(self) -> tuple[sp.Expr, ...]:
        """delta_1, delta_2, eta."""
        moves = (N * (r - x) - d for N, r, x, d in zip(self.N, self.r, self.x, self.drift, strict=True))
        return (*moves, self.omega * (self.partner - self.y) - self.shift)

    def expected(self, expression: sp.Expr) -> sp.Expr:
        """Over the share and its label weight, and, independent of them, the partner and its label."""
        over_share = average(expression, (*self.N, self.omega), _degree_two((*self.n, self.w), self.A, self.b))
        own = _degree_two((*self.mean, self.mean_label), self.Q, self.P)
        return average(over_share, (*self.r, self.partner), own)

    def spread(self, j: int, k: int) -> sp.Expr:
        x, mean = self.x, self.mean
        scatter = self.Q[j, k] - mean[j] * x[k] - x[j] * mean[k] + x[j] * x[k]
        return self.A[j, k] * scatter - (0 if self.fault == "spread" else self.drift[j] * self.drift[k])

    def coupling(self, j: int) -> sp.Expr:
        x, y = self.x[j], self.y
        together = self.P[j] - self.mean[j] * y - x * self.mean_label + x * y
        cross = self.n[j] * self.w if self.fault == "coupling" else self.b[j]
        return cross * together - self.drift[j] * self.shift


def _degree_two(first: tuple[sp.Expr, ...], second: sp.MatrixBase, cross: tuple[sp.Expr, ...]) -> Table:
    """Moments of two coordinates and one number, of degree <= 2; the square of the number does not occur."""
    table: dict[tuple[int, ...], sp.Expr] = {(0, 0, 0): sp.S.One, (1, 0, 0): first[0], (0, 1, 0): first[1]}
    table |= {(0, 0, 1): first[2], (1, 0, 1): cross[0], (0, 1, 1): cross[1]}
    return table | {(2, 0, 0): second[0, 0], (1, 1, 0): second[0, 1], (0, 2, 0): second[1, 1]}


def _deviations(fault: str | None) -> tuple[Step, ...]:
    s = _Moves(fault)
    *delta, eta = s.deviations
    centre = tuple(equation(m, x + d) for m, x, d in zip(POINT, s.x, s.drift, strict=True))
    no_first = Step(
        "Mean mixed point and label: the deviations have mean zero",
        (*centre, equation(LABEL, s.y + s.shift)),
        tuple(s.expected(d) for d in s.deviations),
        "for Mixup: Carratino et al., Theorem 1",
    )
    spread = Step(
        "Spread about the mean mixed point",
        tuple(equation(V[p], s.spread(*p)) for p in PAIRS if p[0] <= p[1]),
        tuple(s.expected(delta[j] * delta[k]) - s.spread(j, k) for j, k in PAIRS),
        "for Mixup: Carratino et al., Lemma 2",
    )
    coupling = Step(
        "Coupling of point and label",
        tuple(equation(S[j], s.coupling(j)) for j in range(D)),
        tuple(s.expected(delta[j] * eta) - s.coupling(j) for j in range(D)),
        "for Mixup: Carratino et al., Lemma 2",
    )
    return no_first, spread, coupling


def _mixup(fault: str | None) -> Step:
    """N_j = omega = 1-theta: V = sigma^2 (x-rbar)(x-rbar)^T + gamma^2 Sigma_xx, gamma^2 = sigma^2 + (1-E[theta])^2."""
    s, theta, variance = _Moves(fault), sp.Symbol(r"\bar{\theta}"), sp.Symbol("sigma") ** 2
    square = variance + (1 - theta) ** 2
    own = {**dict.fromkeys((*s.n, s.w), 1 - theta), **dict.fromkeys((*s.A, *s.b), square)}
    away = [x - r for x, r in zip(s.x, s.mean, strict=True)]
    spread = {p: variance * away[p[0]] * away[p[1]] + square * (s.Q[p] - s.mean[p[0]] * s.mean[p[1]]) for p in PAIRS}
    coupling = [
        variance * away[k] * (s.y - s.mean_label) + square * (s.P[k] - s.mean[k] * s.mean_label) for k in range(D)
    ]
    lines = (*(equation(V[p], spread[p]) for p in PAIRS if p[0] <= p[1]), *map(equation, S, coupling))
    of_points = tuple(s.spread(*p).subs(own) - spread[p] for p in PAIRS)
    of_labels = tuple(s.coupling(k).subs(own) - coupling[k] for k in range(D))
    return Step("Mixup: the covariances of Carratino et al.", lines, of_points + of_labels, "Carratino et al., Lemma 2")


def _f(*order: int) -> sp.Expr:
    return smooth("f", *(order.count(k) for k in range(D)))(*POINT)


def _terms(fault: str | None, slope: sp.Expr, curvature: sp.Expr) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """label, R2 and R3 for h' - ybar and h''."""
    half = sp.S.One if fault == "half" else sp.S.Half
    label = (1 if fault == "sign" else -1) * sp.Add(*(S[k] * _f(k) for k in range(D)))
    r2 = half * curvature * sp.Add(*(V[p] * _f(p[0]) * _f(p[1]) for p in PAIRS))
    return label, r2, half * slope * sp.Add(*(V[p] * _f(*p) for p in PAIRS))


def _centred_moments() -> Table:
    """Of delta and eta, up to degree 2, and E[eta delta delta^T]."""
    table = dict(_degree_two((sp.S.Zero,) * 3, V, S))
    return table | {(2, 0, 1): T[0, 0], (1, 1, 1): T[0, 1], (0, 2, 1): T[1, 1]}


def _taylor(fault: str | None) -> Step:
    """phi(eps) = l(m + eps delta, ybar + eps eta), averaged term by term."""
    eps = sp.Symbol("epsilon")
    value = smooth("f", 0, 0)(*(m + eps * d for m, d in zip(POINT, DELTA, strict=True)))
    phi = smooth("h", 0)(value) - (LABEL + eps * ETA) * value
    orders = [phi.diff(eps, k).subs(eps, 0) / sp.factorial(k) for k in range(3)]
    means = [average(sp.expand(o), (*DELTA, ETA), _centred_moments()) for o in orders[1:]]
    u = _f()
    label, r2, r3 = _terms(fault, smooth("h", 1)(u) - LABEL, smooth("h", 2)(u))
    names = sp.symbols(r"\mathrm{label} R_2 R_3")
    lines = tuple(equation(name, term) for name, term in zip(names, (label, r2, r3), strict=True))
    zero = equation(sp.Symbol(r"\mathbb{E}[\phi'(0)]"), sp.S.Zero)
    gaps = means[0], means[1] - label - r2 - r3
    return Step("Terms of first and second order", (zero, *lines), gaps, "for Mixup: Carratino et al., Theorem 3")


def _exact(fault: str | None) -> tuple[Step, Step]:
    """h(u) = p u + q u^2/2 with an affine f; and a quadratic f with h(u) = p u."""
    p, q, c = sp.symbols("p q c")
    w, bend = sp.symbols("w_1:3"), sp.Matrix(D, D, lambda j, k: sp.Symbol(f"Q_{min(j, k) + 1}{max(j, k) + 1}"))
    z = sp.symbols("z_1:3")
    affine = c + sp.Add(*(w[k] * z[k] for k in range(D)))
    curved = affine + sp.Add(*(bend[e] * z[e[0]] * z[e[1]] for e in PAIRS)) / 2
    left = -sp.Add(*(bend[e] * T[e] for e in PAIRS)) / 2
    names = sp.symbols(r"L L_{\bar{m}} \mathrm{label} R_2 R_3")
    lines = [equation(names[0], sp.Add(*names[1:], rest)) for rest in (sp.S.Zero, left)]
    own = dict.fromkeys(bend, sp.S.Zero)
    gap_affine = _gap(fault, affine, z, p, q).subs(own)
    gap_curved = _gap(fault, curved, z, p, sp.S.Zero) - left
    return (
        Step("Exact for an affine f and a quadratic h", lines[0], gap_affine, "follows"),
        Step("What is left for a quadratic f and a linear h", lines[1], gap_curved, "follows"),
    )


def _gap(fault: str | None, f: sp.Expr, z: tuple[sp.Symbol, ...], p: sp.Expr, q: sp.Expr) -> sp.Expr:
    """E[l(m + delta, ybar + eta)] less l(m, ybar) and the terms, for a given f of z and h(u) = p u + q u^2/2."""
    at = f.subs(dict(zip(z, POINT, strict=True)))
    moved = f.subs({z[k]: POINT[k] + DELTA[k] for k in range(D)})

    def own(u: sp.Expr, label: sp.Expr) -> sp.Expr:
        return p * u + q * u**2 / 2 - label * u

    exact = average(sp.expand(own(moved, LABEL + ETA)), (*DELTA, ETA), _centred_moments())
    point = dict(zip(z, POINT, strict=True))
    derivatives = {_f(*order): f.diff(*(z[k] for k in order)).subs(point) for order in ((0,), (1,), *PAIRS)}
    terms = sp.Add(*_terms(fault, p + q * at - LABEL, q)).xreplace(derivatives)
    return sp.expand(exact - own(at, LABEL) - terms)
