"""Theorem 1 of MixupE (Zou et al., 2023): the Mixup loss to order J in a = 1-lambda, for unspecified h and f.

phi(a) = h(f(x + a v)) - y . f(x + a v) for a sample x, f of K outputs, v = r - x the move to its partner r, one of two
unspecified points: what holds for the mean over two holds for the mean over any number, as both sides are linear in
their law.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product

import sympy as sp

from msda_theory.symbolic._notation import TILTED, D, Mean, a, b, equation, ratio, require_fault, smooth
from msda_theory.symbolic.derivation import Derivation, Step
from msda_theory.symbolic.ratio_moments import beta_moment, tilted_moment
from msda_theory.symbolic.rewriting import TILTED_FORM_FAULTS, tilted_form_mixup

ALL_ORDER_FAULTS = ("factorial", "label_sign", "power", "direction", *TILTED_FORM_FAULTS)
WITHIN_FAULTS = ("factorial", "power")
#: where the mean over the partner stands
PLACES = ("outside", "within")
THEOREM = "MixupE, Theorem 1"
share = sp.Symbol("a")
Move = tuple[sp.Symbol, ...]


@dataclass(frozen=True)
class Directional:
    """A sample, its label and two partners, d coordinates and K outputs; the paper's formulas, with their faults.

    A polynomial in a is the list of its coefficients up to a^J.
    """

    order: int
    d: int
    outputs: int
    fault: str | None = None

    @property
    def x(self) -> tuple[sp.Symbol, ...]:
        return tuple(sp.symbols(f"x_1:{self.d + 1}"))

    @property
    def y(self) -> tuple[sp.Symbol, ...]:
        return tuple(sp.symbols(f"y_1:{self.outputs + 1}"))

    @property
    def moves(self) -> tuple[Move, Move]:
        """r - x for both partners."""
        v, w = (tuple(sp.symbols(f"{name}_1:{self.d + 1}")) for name in ("v", "w"))
        return v, w

    def f(self, k: int, *order: int) -> sp.Expr:
        """Output k at x, or its partial derivative in the coordinates named."""
        return smooth(self._name(k), *(order.count(c) for c in range(self.d)))(*self.x)

    def h(self, *order: int) -> sp.Expr:
        """h at f(x), or its partial derivative in the outputs named."""
        return smooth("h", *(order.count(k) for k in range(self.outputs)))(*map(self.f, range(self.outputs)))

    def phi(self, v: Move) -> sp.Expr:
        """The loss of the moved sample as a function of a; no formula of the paper, and no fault."""
        values = self.moved(v)
        return smooth("h", *[0] * self.outputs)(*values) - sp.Add(*(y * f for y, f in zip(self.y, values, strict=True)))

    def moved(self, v: Move) -> list[sp.Expr]:
        """f(x + a v)."""
        point = [x + share * step for x, step in zip(self.x, v, strict=True)]
        return [smooth(self._name(k), *[0] * self.d)(*point) for k in range(self.outputs)]

    def directional(self, k: int, j: int, v: Move) -> sp.Expr:
        """(6): d^j f_k(x) v^{(x) j}, the sum over all j-tuples of coordinates."""
        step = [-c for c in v] if self.fault == "direction" else v
        tuples = product(range(self.d), repeat=j)
        return sp.Add(*(self.f(k, *t) * sp.Mul(*(step[c] for c in t)) for t in tuples))

    def delta(self, v: Move) -> list[list[sp.Expr]]:
        """a Delta = sum_{j=1}^J a^j/j! d^j f(x) v^{(x) j}, output by output."""
        found = []
        for k in range(self.outputs):
            terms = [self.directional(k, j, v) / sp.factorial(j) for j in range(1, self.order + 1)]
            found.append([sp.S.Zero, sp.S.Zero, *terms] if self.fault == "power" else [sp.S.Zero, *terms])
        return [terms[: self.order + 1] for terms in found]

    def nested(self, delta: list[list[sp.Expr]]) -> list[sp.Expr]:
        """l(x, y) + sum_{j=1}^J 1/j! d^j h(f(x)) (a Delta)^{(x) j} - y . a Delta."""
        sign = -1 if self.fault == "label_sign" else 1
        label = sp.Add(*(sign * y * self.f(k) for k, y in enumerate(self.y)))
        total = [self.h() - label, *[sp.S.Zero] * self.order]
        for j in range(1, self.order + 1):
            for t in product(range(self.outputs), repeat=j):
                scale = self.h(*t) / (1 if self.fault == "factorial" else sp.factorial(j))
                power = self._times([delta[k] for k in t])
                total = [u + scale * c for u, c in zip(total, power, strict=True)]
        for y, terms in zip(self.y, delta, strict=True):
            total = [u - sign * y * c for u, c in zip(total, terms, strict=True)]
        return total

    def expansion(self, place: str) -> list[sp.Expr]:
        """The nested form, the mean over both partners outside of it or within Delta."""
        deltas = [self.delta(v) for v in self.moves]
        if place == "outside":
            return [sp.Add(*both) / 2 for both in zip(*map(self.nested, deltas), strict=True)]
        within = [[sp.Add(*both) / 2 for both in zip(*outputs, strict=True)] for outputs in zip(*deltas, strict=True)]
        return self.nested(within)

    def _times(self, factors: list[list[sp.Expr]]) -> list[sp.Expr]:
        """A product of polynomials in a, up to a^J."""
        result: list[sp.Expr] = [sp.S.One, *[sp.S.Zero] * self.order]
        for factor in factors:
            result = [sp.Add(*(result[i] * factor[n - i] for i in range(n + 1))) for n in range(self.order + 1)]
        return result

    def _name(self, k: int) -> str:
        return "f" if self.outputs == 1 else f"f_{k + 1}"


@cache
def all_orders(
    order: int = 3, d: int = 2, outputs: int = 1, *, place: str = "outside", fault: str | None = None
) -> Derivation:
    """Theorem 1 to order J in d coordinates: Mixup as a loss on moved inputs, (6), the nested form, its moments, q.

    place : "outside" for the mean over the partner outermost, "within" for that mean within Delta, which fails from
        order 2 on.
    Faults: "factorial": the sum over d^j h without 1/j!; "label_sign": +y for -y; "power": a^(j+1) for a^j in a Delta;
    "direction": x - r for r - x; those of `tilted_form_mixup`.
    """
    require_fault(fault, ALL_ORDER_FAULTS)
    if place not in PLACES:
        raise ValueError(f"place={place!r}: needed is one of {', '.join(map(repr, PLACES))}")
    if order < 1:
        raise ValueError(f"order={order}: needed is an integer >= 1, the order of the expansion")
    s = Directional(order, d, outputs, fault)
    tilted = fault if fault in TILTED_FORM_FAULTS else None
    steps = (
        *tilted_form_mixup(fault=tilted),
        _directional_step(s),
        *(_order_step(s, place, j) for j in range(order + 1)),
        _moment_step(order, tilted),
        _first_order_step(s, place),
    )
    coordinates = f"{d} coordinate{'s' if d > 1 else ''}"
    return Derivation(f"MixupE, Theorem 1 to order {order} in {coordinates}, mean over the partner {place}", steps)


@cache
def averaged_within(d: int = 2, outputs: int = 2, *, fault: str | None = None) -> Derivation:
    """What the mean over the partner within Delta leaves out at order 2: 1/2 sum_kl h_kl Cov_r(grad f_k.r, grad f_l.r).

    Faults: "factorial", "power": as in `all_orders`.
    """
    require_fault(fault, WITHIN_FAULTS)
    s = Directional(2, d, outputs, fault)
    gaps = [p - q for p, q in zip(s.expansion("outside"), s.expansion("within"), strict=True)]
    slopes = [[sp.Add(*(s.f(k, c) * v[c] for c in range(d))) for v in s.moves] for k in range(outputs)]
    pairs = list(product(range(outputs), range(outputs)))
    # two equally likely points: Cov(u, v) = (u_1 - u_2)(v_1 - v_2)/4
    covariance = {(k, q): (slopes[k][0] - slopes[k][1]) * (slopes[q][0] - slopes[q][1]) / 4 for k, q in pairs}
    lost = sp.Add(*(s.h(*pair) * covariance[pair] for pair in pairs)) / 2
    residuals = gaps[0], gaps[1], gaps[2] - lost
    statement = equation(sp.Symbol(r"[a^{2}]\left(\mathrm{outside}-\mathrm{within}\right)"), lost)
    step = Step("The covariance that is left out at order 2", statement, residuals, THEOREM)
    return Derivation("The mean over the partner within Delta", (step,))


def _directional_step(s: Directional) -> Step:
    cells = [(k, j) for k in range(s.outputs) for j in range(1, s.order + 1)]
    v = s.moves[0]
    values = s.moved(v)
    found = {(k, j): s.directional(k, j, v) for k, j in cells}
    lines = tuple(equation(sp.Symbol(rf"\varphi_{{{k + 1}}}^{{({j})}}(0)"), found[k, j]) for k, j in cells)
    gaps = tuple(values[k].diff(share, j).subs(share, 0) - found[k, j] for k, j in cells)
    return Step("Derivatives along r - x", lines, gaps, "MixupE, App. 6, (6)")


def _order_step(s: Directional, place: str, j: int) -> Step:
    """One power of a: what is left of order <= J vanishes, so that the remainder is o(a^J)."""
    stated = s.expansion(place)[j]
    found = sp.Add(*(s.phi(v).diff(share, j).subs(share, 0) for v in s.moves)) / (2 * sp.factorial(j))
    name = sp.Symbol(rf"\tfrac{{1}}{{{j}!}}\,\bar\varphi^{{({j})}}(0)")
    return Step(f"The nested form at order {j}", equation(name, stated), found - stated, THEOREM)


def _moment_step(order: int, fault: str | None) -> Step:
    """E_D~[a^j] = (alpha (beta)_j + beta (alpha)_j) / (alpha+beta)_{j+1} in rising factorials."""
    swap, weight = fault == "swap", fault == "weight"
    first, second = (b, a) if weight else (a, b)
    orders = range(1, order + 1)
    closed = [
        (first * sp.rf(b, j) + second * sp.rf(a, j)).rewrite(sp.gamma) / sp.rf(a + b, j + 1).rewrite(sp.gamma)
        for j in orders
    ]
    by_law = [tilted_moment(a, b, j, 0) if swap else tilted_moment(a, b, 0, j) for j in orders]
    by_roles = [beta_moment(a, b, 1, j) + beta_moment(a, b, j, 1) for j in orders]
    lines = tuple(
        line
        for j, value in zip(orders, closed, strict=True)
        for line in (
            equation(Mean((1 - ratio) ** j, TILTED), Mean(ratio * (1 - ratio) ** j + (1 - ratio) * ratio**j, D)),
            equation(Mean((1 - ratio) ** j, TILTED), sp.gammasimp(value)),
        )
    )
    gaps = tuple(c - v for values in (by_law, by_roles) for c, v in zip(closed, values, strict=True))
    return Step("The moments of a", lines, gaps, "follows")


def _first_order_step(s: Directional, place: str) -> Step:
    """The power a^1 is q(x) of (1), g = h' at the output; in both places of the mean."""
    mean = [sp.Add(*column) / 2 for column in zip(*s.moves, strict=True)]
    cells = product(range(s.outputs), range(s.d))
    q = sp.Add(*((s.h(k) - s.y[k]) * s.f(k, c) * mean[c] for k, c in cells))
    return Step("The first order is q", equation(sp.Symbol("q(x)"), q), s.expansion(place)[1] - q, "MixupE, (1)")
