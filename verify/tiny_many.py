"""The n-Mixup loss and its expansion over rationals, for a `TinyProblem` and a Dirichlet law: the oracle of n samples.

On a tiny problem the loss of a mixed tuple is a polynomial in the ratios, so its average over them is a finite sum of
Dirichlet moments.  No code is shared with the library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import product

from flint import Ordering, fmpq, fmpq_mpoly, fmpq_mpoly_ctx

from verify.tiny_problems import TinyProblem, TinyTerms, Vector

Alpha = tuple[fmpq, ...]


@cache
def ratios(n: int) -> tuple[fmpq_mpoly, ...]:
    """lambda_1, .., lambda_n as polynomials."""
    names = tuple(f"l{k + 1}" for k in range(n))
    return tuple(fmpq_mpoly_ctx.get(names, Ordering.lex).gens())


def average(g: fmpq_mpoly, alpha: Alpha) -> fmpq:
    """E[g(lambda)] under Dir(alpha): E[prod_k lambda_k^p_k] = prod_k (alpha_k)_{p_k} / (A)_p in rising factorials."""

    def moment(powers: Sequence[int]) -> fmpq:
        top = _product(_rising(a, p) for a, p in zip(alpha, powers, strict=True))
        return top / _rising(sum(alpha, fmpq(0)), sum(powers))

    return sum((c * moment(powers) for powers, c in g.to_dict().items()), fmpq(0))


def label_weighted_average(g: fmpq_mpoly, alpha: Alpha) -> fmpq:
    """E[g] under D~_Lambda = sum_l alpha_l / A Dir(alpha_l + 1, alpha_{l+1}, .., alpha_{l+n-1}), indices mod n."""
    total = fmpq(0)
    for k, a in enumerate(alpha):
        first, *rest = alpha[k:] + alpha[:k]
        total += a / sum(alpha) * average(g, (first + 1, *rest))
    return total


def n_mixup_loss(p: TinyProblem, alpha: Alpha) -> fmpq:
    """1/m^n sum over all tuples of E[ l(sum_k lambda_k x_{i_k}, sum_k lambda_k y_{i_k}) ]."""
    m, n = len(p.x), len(alpha)
    lam, total = ratios(n), 0 * ratios(n)[0]
    for i in product(range(m), repeat=n):
        label = sum(t * p.y[k] for t, k in zip(lam, i, strict=True))
        total += p.loss(_mixed(lam, [p.x[k] for k in i]), label)
    return average(total, alpha) / m**n


def role_loss(p: TinyProblem, alpha: Alpha, outer: int) -> fmpq:
    """(20): 1/m sum_{k <= outer} E_D~ E_{r_2..r_n} l(lambda_1 x_k + sum_{j>=2} lambda_j r_j, y_k); it prints n."""
    m, n = len(p.x), len(alpha)
    lam, total = ratios(n), 0 * ratios(n)[0]
    for k in range(outer):
        for partners in product(p.x, repeat=n - 1):
            total += p.loss(_mixed(lam, [p.x[k], *partners]), p.y[k])
    return label_weighted_average(total, alpha) / m**n


def n_mixup_expansion(
    p: TinyProblem, alpha: Alpha, last: int, *, mean: Callable[[fmpq_mpoly, Alpha], fmpq] = label_weighted_average
) -> TinyTerms:
    """Theorem 5's terms, sample by sample, with sum_{j=2}^{last} lambda_j^2, j mod n: it prints m for `last`.

    `mean` is the law of the ratios, D~ as the theorem has it; `average` plants D in its place.
    """
    n, m, lam = len(alpha), fmpq(len(p.x)), ratios(len(alpha))
    squares = sum((lam[(j - 1) % n] ** 2 for j in range(2, last + 1)), 0 * lam[0])
    first, same, whole = (mean(g, alpha) for g in (1 - lam[0], squares, (1 - lam[0]) ** 2))
    cross = whole - same
    terms = TinyTerms(fmpq(0), fmpq(0), fmpq(0), fmpq(0))
    for x, y in zip(p.x, p.y, strict=True):
        residual, gradient, away = p.p + p.q * p.f(x) - y, p.gradient(x), _minus(p.mean, x)
        moves = [_minus(r, x) for r in p.x]
        slopes = same * sum(_dot(gradient, v) ** 2 for v in moves) / m + cross * _dot(gradient, away) ** 2
        bends = same * sum(_bend(p, v) for v in moves) / m + cross * _bend(p, away)
        terms = TinyTerms(
            terms.standard + p.loss(x, y) / m,
            terms.r1 + first * residual * _dot(gradient, away) / m,
            terms.r2 + p.q * slopes / (2 * m),
            terms.r3 + residual * bends / (2 * m),
        )
    return terms


def _mixed(lam: Sequence[fmpq_mpoly], points: Sequence[Vector]) -> list[fmpq_mpoly]:
    """sum_k lambda_k x_k, coordinate by coordinate."""
    return [sum(t * v for t, v in zip(lam, column, strict=True)) for column in zip(*points, strict=True)]


def _bend(p: TinyProblem, v: Vector) -> fmpq:
    """v^T Q v."""
    return _dot(v, [_dot(row, v) for row in p.Q])


def _minus(a: Vector, b: Vector) -> list[fmpq]:
    return [s - t for s, t in zip(a, b, strict=True)]


def _dot(a: Vector, b: Vector) -> fmpq:
    return sum((s * t for s, t in zip(a, b, strict=True)), fmpq(0))


def _rising(a: fmpq, p: int) -> fmpq:
    return _product(a + k for k in range(p))


def _product(factors: Iterable[fmpq]) -> fmpq:
    result = fmpq(1)
    for factor in factors:
        result *= factor
    return result
