"""R1, R2 and R3: the second-order Taylor polynomial averaged over the share N and, independent of it, the partner r.

For one sample x with label y, in d coordinates, h and f unspecified and the data with any mean rbar:

    R1 = (h' - y) sum_j n_j d_j f (rbar_j - x_j)
    R2 = h''/2 sum_jk A_jk C_jk d_j f d_k f
    R3 = (h' - y)/2 sum_jk A_jk C_jk d_jk f,     C_jk = E_r[(r_j - x_j)(r_k - x_k)],

n and A the moments of N (`seen_moments`).  The theorem's terms are the means of these over the samples.
"""

from __future__ import annotations

from functools import cache
from itertools import product

import sympy as sp

from msda_theory.symbolic._notation import TILTED, Mean, average, equation, moments, ratio, require_fault
from msda_theory.symbolic.derivation import Derivation, Step
from msda_theory.symbolic.seen_moments import require_mask
from msda_theory.symbolic.taylor import TAYLOR_FAULTS, Sample

ASSEMBLY_FAULTS = (*TAYLOR_FAULTS, "appendix", "mean")
E1, E2 = sp.symbols("E_1 E_2", positive=True)
PRINTED = {E1: Mean(1 - ratio, TILTED), E2: Mean((1 - ratio) ** 2, TILTED)}


class Terms:
    """The three terms of one sample, as stated above, in symbols for the moments of the share and of the partner.

    Faults: those of `second_order`; "appendix": R3 without h'-y, as the proof of Park et al. ends; "mean": C_jk =
    E[r_j r_k] + x_j x_k whatever the mean of the data.
    """

    def __init__(self, d: int, fault: str | None = None) -> None:
        names = [(j, k) for j, k in product(range(1, d + 1), repeat=2)]
        self.sample, self.fault = Sample.of(d, fault), fault
        self.pairs = list(product(range(d), repeat=2))
        self.n = tuple(sp.Symbol(f"n_{j + 1}") for j in range(d))
        self.mean = tuple(sp.Symbol(rf"\bar{{r}}_{{{j + 1}}}") for j in range(d))
        self.A = sp.Matrix(d, d, [sp.Symbol(f"A_{min(p)}{max(p)}") for p in names])
        self.C = sp.Matrix(d, d, [sp.Symbol(f"C_{min(p)}{max(p)}") for p in names])
        self.Q = sp.Matrix(d, d, [sp.Symbol(rf"\mathbb{{E}}[r_{{{min(p)}}}r_{{{max(p)}}}]") for p in names])

    def scatter(self, j: int, k: int) -> sp.Expr:
        """C_jk in the moments of the data."""
        x, mean = self.sample.x, self.mean
        offset = 0 if self.fault == "mean" else mean[j] * x[k] + x[j] * mean[k]
        return self.Q[j, k] + x[j] * x[k] - offset

    def in_data(self, expression: sp.Expr) -> sp.Expr:
        """The moments of the data put in for C."""
        return expression.subs({self.C[p]: self.scatter(*p) for p in self.pairs})

    def over_partner(self, expression: sp.Expr) -> sp.Expr:
        return average(expression, self.sample.r, moments(self.mean, self.Q))

    def expected(self, expression: sp.Expr) -> sp.Expr:
        """The expectation over the share and the partner."""
        return self.over_partner(average(expression, self.sample.N, moments(self.n, self.A)))

    def contract(self, factor: sp.Expr, weights: sp.MatrixBase) -> sp.Expr:
        """factor/2 sum_jk A_jk C_jk weights_jk."""
        return sp.Mul(self.sample.half, factor, sp.Add(*(self.A[p] * self.C[p] * weights[p] for p in self.pairs)))

    @property
    def slopes(self) -> sp.MatrixBase:
        """grad f (grad f)^T."""
        gradient = sp.Matrix([self.sample.f(j) for j in self.sample.coordinates])
        return gradient * gradient.T

    @property
    def bends(self) -> sp.MatrixBase:
        """The Hessian of f."""
        return sp.Matrix(len(self.n), len(self.n), lambda j, k: self.sample.f(int(j), int(k)))

    @property
    def r1(self) -> sp.Expr:
        s = self.sample
        return s.slope * sp.Add(*(self.n[j] * s.f(j) * (self.mean[j] - s.x[j]) for j in s.coordinates))

    @property
    def r2(self) -> sp.Expr:
        return self.contract(self.sample.curvature, self.slopes)

    @property
    def r3(self) -> sp.Expr:
        slope = sp.S.One if self.fault == "appendix" else self.sample.slope
        return self.contract(slope, self.bends)


def taylor_polynomial(s: Sample) -> tuple[sp.Expr, ...]:
    """The terms of order 0, 1 and 2 in N of phi, by differentiation along the ray through N."""
    eps = sp.Symbol("epsilon")
    along = s.phi().subs({N: eps * N for N in s.N}, simultaneous=True)
    return tuple(along.diff(eps, order).subs(eps, 0) / sp.factorial(order) for order in range(3))


@cache
def assembly(mask: str = "general", d: int = 2, *, fault: str | None = None) -> Derivation:
    """R1, R2, R3 from the Taylor polynomial, eqs. (7)-(8) where E[r] = 0, and what the mask law makes of them."""
    require_mask(mask)
    require_fault(fault, ASSEMBLY_FAULTS)
    terms = Terms(d, fault)
    own = {"mixup": _lemma31, "bernoulli": _bernoulli, "general": lambda _: ()}[mask](terms)
    steps = (_scatter(terms), *_averages(terms), *_centred(terms), *own)
    return Derivation(f"The regularisers, {mask} mask", steps)


def _scatter(t: Terms) -> Step:
    s = t.sample
    lines = tuple(equation(t.C[j, k], t.scatter(j, k)) for j, k in t.pairs if j <= k)
    gaps = tuple(t.expected(s.move[j] * s.move[k]) - t.scatter(j, k) for j, k in t.pairs)
    return Step("Scatter of the partners about the sample", lines, gaps, "Park et al., (8), without E[r] = 0")


def _averages(t: Terms) -> tuple[Step, Step]:
    _, gradient, curved = taylor_polynomial(t.sample)
    first = equation(sp.Symbol("R_1"), t.r1)
    second = equation(sp.Symbol("R_2"), t.r2), equation(sp.Symbol("R_3"), t.r3)
    gap = t.expected(curved) - t.in_data(t.r2 + t.r3)
    return (
        Step("R1 of one sample", first, t.expected(gradient) - t.r1, "Park et al., (7), without E[r] = 0"),
        Step("R2 and R3 of one sample", second, gap, "Park et al., (7)-(8), without E[r] = 0"),
    )


def _centred(t: Terms) -> tuple[Step, ...]:
    """(7)-(8) as printed, with E[r] = 0; and what the second expressions of G and H miss without it."""
    s = t.sample
    zero = dict.fromkeys(t.mean, 0)
    inner = sp.Add(*(s.f(j) * s.x[j] for j in s.coordinates))
    r1 = -s.slope * inner * E1
    true = t.expected(taylor_polynomial(s)[1]).subs({**zero, **dict.fromkeys(t.n, E1)})
    step = Step("R1 where E[r] = 0", equation(sp.Symbol("R_1"), r1.subs(PRINTED)), true - r1, "Park et al., (7)")
    return step, _both_expressions(t, "G", t.slopes), _both_expressions(t, "H", t.bends)


def _both_expressions(t: Terms, name: str, weights: sp.MatrixBase) -> Step:
    """E_M (1-M)^T E_r[W * (r-x)(r-x)^T] (1-M) = sum_jk a_jk W_jk (E[r_j r_k] + x_j x_k), less what E[r] != 0 adds."""
    s, N, move = t.sample, sp.Matrix(t.sample.N), sp.Matrix(t.sample.move)
    form = (N.T * weights.multiply_elementwise(move * move.T) * N)[0]
    printed = sp.Add(*(t.A[p] * weights[p] * (t.Q[p] + s.x[p[0]] * s.x[p[1]]) for p in t.pairs))
    missed = sp.Add(*(t.A[j, k] * weights[j, k] * (t.mean[j] * s.x[k] + s.x[j] * t.mean[k]) for j, k in t.pairs))
    corrected = printed if t.fault == "mean" else printed - missed
    lines = equation(sp.Symbol(rf"{name}_{{\mathrm{{centred}}}}"), printed), equation(sp.Symbol(name), corrected)
    title = f"{name} of (8): both expressions where E[r] = 0, and {name} with any mean"
    zero = dict.fromkeys(t.mean, 0)
    return Step(
        title, lines, ((t.expected(form) - printed).subs(zero), t.expected(form) - corrected), "Park et al., (8)"
    )


def _lemma31(t: Terms) -> tuple[Step, ...]:
    """M = lambda 1: n_j = E1 and A_jk = E2."""
    s = t.sample
    x, r, mean = sp.Matrix(s.x), sp.Matrix(s.r), sp.Matrix(t.mean)
    gradient = sp.Matrix([s.f(j) for j in s.coordinates])
    bent = t.over_partner(((r - x).T * t.bends * (r - x))[0])
    printed = (
        E1 * s.slope * (gradient.T * (mean - x))[0],
        E2 * s.half * s.curvature * (gradient.T * t.C * gradient)[0],
        E2 * s.half * s.slope * bent,
    )
    own = {**dict.fromkeys(t.n, E1), **{t.A[p]: E2 for p in t.pairs}}
    gaps = tuple(t.in_data((ours - theirs).subs(own)) for ours, theirs in zip((t.r1, t.r2, t.r3), printed, strict=True))
    shown = (*printed[:2], sp.Mul(s.half, E2, s.slope, sp.Add(*(t.C[p] * t.bends[p] for p in t.pairs))))
    lines = tuple(equation(sp.Symbol(f"R_{k}"), e.subs(PRINTED)) for k, e in enumerate(shown, 1))
    return (Step("Mixup: the terms of one sample", lines, gaps, "Zhang et al., Lemma 3.1"),)


def _bernoulli(t: Terms) -> tuple[Step, ...]:
    """Independent coordinates: n_j = E1, A_jk = E2 and A_jj = E1 = 2 E2, so the diagonal counts twice."""
    s = t.sample
    own = {t.A[j, k]: E2 * (2 if j == k else 1) for j, k in t.pairs}

    def twice(factor: sp.Expr, weights: sp.MatrixBase) -> sp.Expr:
        whole = sp.Add(*(t.C[p] * weights[p] for p in t.pairs))
        diagonal = sp.Add(*(t.C[j, j] * weights[j, j] for j in s.coordinates))
        return sp.Mul(s.half, E2, factor, whole + diagonal)

    printed = twice(s.curvature, t.slopes), twice(s.slope, t.bends)
    gaps = tuple(ours.subs(own) - stated for ours, stated in zip((t.r2, t.r3), printed, strict=True))
    lines = tuple(equation(sp.Symbol(f"R_{k}"), e.subs(PRINTED)) for k, e in enumerate(printed, 2))
    return (Step("Bernoulli: the terms of one sample", lines, gaps, "Park et al., (7)-(9)"),)
