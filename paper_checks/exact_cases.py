"""The tiny problems on which Theorem 1 must be exact, judged in rational or ball arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flint import acb, arb, fmpq

from verify.tiny_laws import Number, TinyLaw, bernoulli, blended, cutmix, exact_area, gmix, hmix, mixup, stochastic
from verify.tiny_problems import BetaInt, TinyProblem

#: equal and unequal parameters of the Beta law
RATIOS = (BetaInt(1, 1), BetaInt(3, 1), BetaInt(1, 2))
BOX_SAMPLERS = ("printed", "inside", "clip", "torus")
HALF = fmpq(1, 2)
#: radius that enclosures of zero may have: GMix next to lambda = 1 is enclosed on 256 pieces of 2^-17, a few units wide
SMALL_BALL = 1e-5


def problem(size: int, samples: int, *, linear: bool, centred: bool) -> TinyProblem:
    """Linear f with the squared loss, or quadratic f with a linear h: readable numbers without symmetry."""
    x = [[fmpq((7 * i + 3 * j + 5 * i * j) % 11 - 4, 3) for j in range(size)] for i in range(samples)]
    if centred:
        mean = [sum(column) / fmpq(samples) for column in zip(*x, strict=True)]
        x = [[value - shift for value, shift in zip(row, mean, strict=True)] for row in x]
    y = [fmpq(3 * i % 5, 2) for i in range(samples)]
    w = [fmpq(j + 1, 2) * (-1) ** j for j in range(size)]
    corner = [[fmpq(0) if linear else fmpq((j + 1) * (k + 1) % 5 - 1, 3) for k in range(size)] for j in range(size)]
    symmetric = [[corner[j][k] + corner[k][j] for k in range(size)] for j in range(size)]
    return TinyProblem(x, y, w, symmetric, p=fmpq(5, 3), q=fmpq(1 if linear else 0))


def exact_cases(law: TinyLaw, *, centred: bool) -> Iterator[tuple[TinyProblem, BetaInt]]:
    """Both exact kinds of problem at every parameter pair of `RATIOS`; fewer for laws in ball arithmetic."""
    samples = 3 if law.polynomial and law.size < 6 else 2
    for ratio in RATIOS if law.polynomial else RATIOS[1:2]:
        for linear in (True, False):
            yield problem(law.size, samples, linear=linear, centred=centred), ratio


def tiny_laws(name: str) -> list[TinyLaw]:
    """The tiny laws of an augmentation: boxes for every sampler, and last the one that meets E[M] = lambda 1."""
    if name == "mixup":
        return [mixup(4)]
    if name == "bernoulli":
        return [bernoulli(3)]
    if name == "gmix":
        return [gmix(2, 2)]
    if name == "cutmix":
        return [*(cutmix(2, 3, sampler) for sampler in BOX_SAMPLERS), exact_area(2, fmpq(1))]
    if name == "hmix":
        return [*(hmix(2, 2, HALF, sampler) for sampler in BOX_SAMPLERS), exact_area(2, HALF)]
    return [*(stochastic(2, 2, HALF, sampler) for sampler in BOX_SAMPLERS), blended(exact_area(2, fmpq(1)), HALF)]


def is_zero(value: Number) -> bool:
    """Zero in rationals; in ball arithmetic, a ball that contains zero and is small."""
    if isinstance(value, acb):
        return bool(value.real.contains(0)) and float(value.real.rad()) < SMALL_BALL
    return bool(value == 0)


def is_nonzero(value: Number) -> bool:
    """Certainly not zero: a rational other than 0, or a ball that excludes it."""
    return not value.real.contains(0) if isinstance(value, acb) else bool(value != 0)


def readable(value: Any) -> str:
    """A rational as p/q; a ball as its midpoint and radius."""
    real = value.real if isinstance(value, acb) else value
    return real.str(8) if isinstance(real, arb) else str(real)


def described(law: TinyLaw, p: TinyProblem, ratio: BetaInt) -> str:
    """A tiny problem and its augmentation in words, to be set up again from them."""
    return f"{law.name}, Beta({ratio.a},{ratio.b}), {described_problem(p)}"


def described_problem(p: TinyProblem) -> str:
    """Network, loss and data."""

    def plain(value: object) -> str:
        return "[" + ", ".join(map(plain, value)) + "]" if isinstance(value, list | tuple) else str(value)

    data = f"w = {plain(p.w)}, Q = {plain(p.Q)}, x = {plain(p.x)}, y = {plain(p.y)}"
    return f"f = w.x + x.Qx/2, h = {p.p} u + {p.q} u^2/2, {data}"


def evidence_kind(law: TinyLaw) -> str:
    return "exact" if law.polynomial else "enclosure"
