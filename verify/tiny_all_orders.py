"""The Mixup loss of polynomial networks and losses, and Theorem 1 of MixupE word for word, over rationals.

Outputs f_1, .., f_K are polynomials of the d coordinates, h one of the K outputs.  The derivatives are formed as the
paper writes them: the tensor d^j f(x_i) against the j-th Kronecker power of r - x_i, a sum over all j-tuples.  No code
is shared with the library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

from flint import Ordering, fmpq, fmpq_mpoly, fmpq_mpoly_ctx, fmpq_poly

Number = Any  # fmpq, fmpq_poly in a or lambda, or fmpq_mpoly
Point = Sequence[fmpq]
FORMS = ("plain", "nested", "averaged")


@dataclass(frozen=True)
class PolynomialProblem:
    """Samples x (m, d), labels y (m, K), network f (K polynomials in d variables), h (one polynomial in K)."""

    x: Sequence[Point]
    y: Sequence[Point]
    f: tuple[fmpq_mpoly, ...]
    h: fmpq_mpoly

    def loss(self, x: Sequence[Number], y: Sequence[Number]) -> Number:
        """h(f(x)) - y . f(x)."""
        f = [at(output, x) for output in self.f]
        return at(self.h, f) - sum(v * u for v, u in zip(y, f, strict=True))

    @property
    def standard(self) -> fmpq:
        """L_n^std: the mean of the n losses."""
        losses = [self.loss(x, y) for x, y in zip(self.x, self.y, strict=True)]
        return sum(losses, fmpq(0)) / len(losses)


@cache
def variables(count: int) -> tuple[fmpq_mpoly, ...]:
    """The generators of the polynomials in `count` variables."""
    return tuple(fmpq_mpoly_ctx.get(tuple(f"u{k + 1}" for k in range(count)), Ordering.lex).gens())


def at(polynomial: fmpq_mpoly, values: Sequence[Number]) -> Number:
    """The polynomial at numbers, or at polynomials."""
    terms = (c * _product(_powers(values, exponents)) for exponents, c in polynomial.to_dict().items())
    return sum(terms, 0 * values[0])


@dataclass(frozen=True)
class BetaLaw:
    """Beta(a, b) with rational a and b, by its moments; so is D~."""

    a: fmpq
    b: fmpq

    def mean(self, g: fmpq_poly) -> fmpq:
        """E[g(lambda)]: E lambda^k = (a)_k / (a+b)_k."""
        return _combined(g, lambda k: _rising(self.a, k) / _rising(self.a + self.b, k))

    def tilted_mean(self, g: fmpq_poly) -> fmpq:
        """E[g(1-lambda)] under D~ = a/(a+b) Beta(a+1, b) + b/(a+b) Beta(b+1, a)."""
        total = self.a + self.b

        def moment(k: int) -> fmpq:
            parts = ((self.a, self.b), (self.b, self.a))
            return sum((p / total * _rising(q, k) / _rising(total + 1, k) for p, q in parts), fmpq(0))

        return _combined(g, moment)


def mixup_loss(p: PolynomialProblem, law: BetaLaw) -> fmpq:
    """1/n^2 sum_ij E l(lambda x_i + (1-lambda) x_j, lambda y_i + (1-lambda) y_j)."""
    first, total = fmpq_poly([0, 1]), fmpq_poly([0])
    samples = list(zip(p.x, p.y, strict=True))
    for (x, y), (r, z) in product(samples, repeat=2):
        total += p.loss(_between(first, x, r), _between(first, y, z))
    return law.mean(total) / len(samples) ** 2


def expansion(p: PolynomialProblem, law: BetaLaw, order: int, form: str = "nested") -> fmpq:
    """L_n^std and the terms to order J: Theorem 1 with the mean over the partner outermost ("nested") or within Delta
    ("averaged"), or the derivatives of the loss itself ("plain")."""
    return law.tilted_mean(integrand(p, order, form))


def integrand(p: PolynomialProblem, order: int, form: str) -> fmpq_poly:
    """What Theorem 1 puts under E_lambda, L_n^std included: a polynomial in a = 1-lambda."""
    total = fmpq_poly([p.standard])
    for x, y in zip(p.x, p.y, strict=True):
        if form == "plain":
            total += _plain(p, x, y, order)
            continue
        f = [at(output, x) for output in p.f]
        moves = [_moved(p, x, r, order) for r in p.x]
        if form == "averaged":
            moves = [[sum(each, fmpq_poly([0])) / len(moves) for each in zip(*moves, strict=True)]]
        total += sum((_nested(p, f, y, move, order) for move in moves), fmpq_poly([0])) / (len(moves) * len(p.x))
    return total


def _plain(p: PolynomialProblem, x: Point, y: Point, order: int) -> fmpq_poly:
    """sum_{j=1}^J a^j/j! d^j l(x) (r-x)^{(x) j}, its mean over r, as a share of the mean over x."""
    loss, total = p.loss(variables(len(x)), y), [fmpq(0)] * (order + 1)
    for r, j in product(p.x, range(1, order + 1)):
        total[j] += contracted(loss, x, _minus(r, x), j) / _factorial(j) / len(p.x) ** 2
    return fmpq_poly(total)


def _nested(p: PolynomialProblem, f: Point, y: Point, move: Sequence[fmpq_poly], order: int) -> fmpq_poly:
    """sum_{j=1}^J 1/j! d^j h(f) (a Delta)^{(x) j} - y . a Delta."""
    outer = (contracted(p.h, f, move, j) / _factorial(j) for j in range(1, order + 1))
    return sum(outer, fmpq_poly([0])) - sum(v * step for v, step in zip(y, move, strict=True))


def _moved(p: PolynomialProblem, x: Point, r: Point, order: int) -> list[fmpq_poly]:
    """a Delta = sum_{j=1}^J a^j/j! d^j f(x) (r-x)^{(x) j}, output by output."""
    orders, step = range(1, order + 1), _minus(r, x)
    return [fmpq_poly([fmpq(0), *(contracted(f, x, step, j) / _factorial(j) for j in orders)]) for f in p.f]


def contracted(polynomial: fmpq_mpoly, point: Point, step: Sequence[Number], j: int) -> Number:
    """d^j g(u) s^{(x) j} = sum_{k_1..k_j} d_{k_1} .. d_{k_j} g(u) s_{k_1} .. s_{k_j}."""
    total = 0 * step[0]
    for indices in product(range(len(step)), repeat=j):
        derivative = polynomial
        for k in indices:
            derivative = derivative.derivative(k)
        total += at(derivative, point) * _product(step[k] for k in indices)
    return total


def _combined(g: fmpq_poly, moment: Callable[[int], fmpq]) -> fmpq:
    return sum((c * moment(k) for k, c in enumerate(g.coeffs())), fmpq(0))


def _between(first: fmpq_poly, x: Point, r: Point) -> list[fmpq_poly]:
    """lambda x + (1-lambda) r."""
    return [first * a + (1 - first) * b for a, b in zip(x, r, strict=True)]


def _minus(a: Point, b: Point) -> list[fmpq]:
    return [s - t for s, t in zip(a, b, strict=True)]


def _powers(values: Sequence[Number], exponents: Sequence[int]) -> Iterable[Number]:
    return (v for v, e in zip(values, exponents, strict=True) for _ in range(int(e)))


def _product(factors: Iterable[Number]) -> Number:
    result: Number = fmpq(1)
    for factor in factors:
        result = result * factor
    return result


def _rising(a: fmpq, k: int) -> fmpq:
    return _product(a + t for t in range(k))


def _factorial(n: int) -> fmpq:
    return _rising(fmpq(1), n)
