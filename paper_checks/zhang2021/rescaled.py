"""Data divided by their own share, x~_i = x_i + (1-lambda)/lambda r, lambda under D~: App. A.3.1, over exact numbers.

The Beta parameters are whole and at least 2, so that the density of D~ over lambda^2 is a polynomial, and every average
of a quadratic in x~_i a rational number.
"""

from __future__ import annotations

from collections.abc import Callable
from math import factorial

from flint import fmpq

from verify.tiny_laws import Number, mixup
from verify.tiny_problems import BetaInt, TinyProblem, Vector, average, mixed

#: equal and unequal parameters for which the second moment of the odds is finite
RATIOS = (BetaInt(2, 2), BetaInt(3, 2), BetaInt(2, 4))


def odds_share(ratio: BetaInt, k: int) -> fmpq:
    """E_D~[((1-lambda)/lambda)^k] in closed form, for k <= min(a, b)."""
    a, b = ratio.a, ratio.b
    return fmpq(a, a + b) * _odds(a + 1, b, k) + fmpq(b, a + b) * _odds(b + 1, a, k)


def odds_printed(ratio: BetaInt, k: int) -> fmpq:
    """The same with a/(a+b) twice, as below eq. (7)."""
    a, b = ratio.a, ratio.b
    return fmpq(a, a + b) * (_odds(a + 1, b, k) + _odds(b + 1, a, k))


def _odds(a: int, b: int, k: int) -> fmpq:
    """Gamma(a-k) Gamma(b+k) / (Gamma(a) Gamma(b)) for Beta(a, b)."""
    return fmpq(factorial(a - k - 1) * factorial(b + k - 1), factorial(a - 1) * factorial(b - 1))


def rescaled_average(ratio: BetaInt, size: int, times_square: Callable[[Number], Number]) -> fmpq:
    """E_D~[g(lambda)] from lambda^2 g(lambda), a polynomial: it is integrated against the density of D~ over lambda^2.

    That is (a+b-1)/(a-1) Beta(a-1, b) + (a+b-1)/(b-1) Beta(b-1, a).
    """
    a, b = ratio.a, ratio.b
    first, second = BetaInt(a - 1, b), BetaInt(b - 1, a)

    def density(lam: Number) -> Number:
        return (a + b - 1) * (first.density(lam) / fmpq(a - 1) + second.density(lam) / fmpq(b - 1))

    return average(mixup(size), density, lambda lam, _: times_square(lam))


def rescaled_loss(p: TinyProblem, ratio: BetaInt) -> fmpq:
    """E (1/n) sum_i l(x~_i, y_i) of a linear f, over lambda and every partner; lambda f(x~_i) = f(lambda x~_i)."""

    def at(lam: Number) -> Number:
        total: Number = 0
        for x, y in zip(p.x, p.y, strict=True):
            for r in p.x:
                u = p.f(mixed([lam] * len(x), x, r))
                total = total + lam * (p.p - y) * u + p.q * u * u * fmpq(1, 2)
        return total / fmpq(len(p.x) ** 2)

    return rescaled_average(ratio, len(p.w), at)


def rescaled_moments(p: TinyProblem, ratio: BetaInt, x: Vector) -> tuple[list[Number], list[list[Number]]]:
    """Mean and covariance of x~ = x + (1-lambda)/lambda r, over lambda and every partner."""
    pixels, n = range(len(x)), fmpq(len(p.x))

    def of(j: int, k: int | None = None) -> Number:
        def at(lam: Number) -> Number:
            points = [mixed([lam] * len(x), x, r) for r in p.x]
            return sum(v[j] * (lam if k is None else v[k]) for v in points) / n

        return rescaled_average(ratio, len(x), at)

    mean = [of(j) for j in pixels]
    return mean, [[of(j, k) - mean[j] * mean[k] for k in pixels] for j in pixels]


def standard_loss(p: TinyProblem) -> Number:
    return sum(p.loss(x, y) for x, y in zip(p.x, p.y, strict=True)) / fmpq(len(p.x))


def spread(p: TinyProblem) -> Number:
    """theta^T Sigma-hat theta = (1/n) sum_i (theta . x_i)^2 for a linear f, theta its weights."""
    return sum(p.f(x) ** 2 for x in p.x) / fmpq(len(p.x))
