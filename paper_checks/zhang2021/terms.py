"""The regularisers of Lemma 3.1 over exact numbers, as sums over samples and partners."""

from __future__ import annotations

from flint import fmpq

from verify.tiny_laws import Number
from verify.tiny_problems import BetaInt, TinyProblem, TinyTerms, Vector


def beta_share(ratio: BetaInt, k: int) -> fmpq:
    """E_D~[(1-lambda)^k] in closed form, from E[lambda^p (1-lambda)^q] = (a)_p (b)_q / (a+b)_(p+q)."""

    def rising(base: int, n: int) -> int:
        return 1 if n == 0 else (base + n - 1) * rising(base, n - 1)

    def moment(p: int, q: int) -> fmpq:
        return fmpq(rising(ratio.a, p) * rising(ratio.b, q), rising(ratio.a + ratio.b, p + q))

    return moment(1, k) + moment(k, 1)  # E_D[lambda (1-lambda)^k + (1-lambda) lambda^k]


def zhang_terms(p: TinyProblem, ratio: BetaInt, *, halved: bool = False) -> TinyTerms:
    """R1, R2, R3 of Lemma 3.1 as sums over samples and partners, no centring; `halved` plants a second factor 1/2."""
    n, total = fmpq(len(p.x)), TinyTerms(0, 0, 0, 0)
    one, two = beta_share(ratio, 1), beta_share(ratio, 2) * fmpq(1, 2 if halved else 1)
    for x, y in zip(p.x, p.y, strict=True):
        f, g = p.f(x), p.gradient(x)
        residual = p.p + p.q * f - y
        for r in p.x:
            step = [b - a for a, b in zip(x, r, strict=True)]
            slope = _dot(g, step)
            bend = _dot(step, [_dot(row, step) for row in p.Q])
            total = TinyTerms(
                total.standard + p.loss(x, y) / n**2,
                total.r1 + one * residual * slope / n**2,
                total.r2 + two * p.q * slope**2 / (2 * n**2),
                total.r3 + two * residual * bend / (2 * n**2),
            )
    return total


def _dot(a: Vector, b: Vector) -> Number:
    return sum(u * v for u, v in zip(a, b, strict=True))
