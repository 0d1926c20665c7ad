"""Theorem 3 over exact numbers, as printed and without inverses; and the tiny problems it is judged on."""

from __future__ import annotations

from dataclasses import dataclass

from flint import fmpq, fmpq_mat

from verify.tiny_perturbed import Perturbed, TinyMixup, TinyRatio, atoms, beta, mixture

HALF, ZERO, ONE = fmpq(1, 2), fmpq(0), fmpq(1)
UNIFORM, CUBIC, SKEW = beta(1, 1), beta(3, 3), beta(1, 3)
#: symmetric about 1/2, with half of its mass there
AT_HALF = mixture(HALF, UNIFORM, atoms({HALF: fmpq(1)}))
#: neither symmetric nor without atoms
UNEVEN = mixture(fmpq(1, 3), SKEW, atoms({HALF: fmpq(1, 2), fmpq(4, 5): fmpq(1, 2)}))
SYMMETRIC: tuple[TinyRatio, ...] = (UNIFORM, CUBIC)
LAWS: tuple[TinyRatio, ...] = (*SYMMETRIC, SKEW, AT_HALF, UNEVEN)


def data(samples: int, d: int, c: int) -> tuple[list[list[fmpq]], list[list[fmpq]]]:
    """Inputs and labels that are neither centred nor balanced."""
    x = [[fmpq((7 * i * i + 3 * j + 5 * i * j) % 11 - 3, 3) for j in range(d)] for i in range(samples)]
    y = [[fmpq((5 * i * i + 2 * i + 3 * k) % 7 - 1, 2) for k in range(c)] for i in range(samples)]
    return x, y


def bent(samples: int, *, d: int = 2, c: int = 2, outputs: int = 2) -> TinyMixup:
    """Quadratic f; a loss with every second derivative, l_uu positive definite."""
    x, y = data(samples, d, c)
    w = [[fmpq(j + 1 + 2 * k, 2) * (-1) ** (j + k) for j in range(d)] for k in range(outputs)]
    Q = [[[fmpq((i + j + k) % 3 - 1, 3) for j in range(d)] for i in range(d)] for k in range(outputs)]
    U = [[fmpq(3 + k) if k == q else fmpq(1) for q in range(outputs)] for k in range(outputs)]
    Y = [[fmpq(2) if a == b else fmpq(-1) for b in range(c)] for a in range(c)]
    N = [[fmpq((2 * a + 3 * k) % 5 - 2) for k in range(outputs)] for a in range(c)]
    return TinyMixup(x, y, w, Q, [fmpq(1, 2 + k) for k in range(outputs)], [fmpq(a - 1) for a in range(c)], U, Y, N)


def straight(samples: int, *, d: int = 2, c: int = 2, outputs: int = 2) -> TinyMixup:
    """The same with linear f, so that the loss is quadratic in the mixed point."""
    p = bent(samples, d=d, c=c, outputs=outputs)
    return TinyMixup(p.x, p.y, p.w, [[[fmpq(0)] * d for _ in range(d)] for _ in p.Q], p.p, p.r, p.U, p.Y, p.N)


#: f(x) = x and l = u^2/2 on the inputs 0 and 1
SQUARE = TinyMixup([[ZERO], [ONE]], [[ZERO], [ZERO]], [[ONE]], [[[ZERO]]], [ZERO], [ZERO], [[ONE]], [[ZERO]], [[ZERO]])


def with_curvature(p: TinyMixup, U: list[list[fmpq]]) -> TinyMixup:
    return TinyMixup(p.x, p.y, p.w, p.Q, p.p, p.r, U, p.Y, p.N)


@dataclass(frozen=True)
class TinyRisk:
    """l at the modified samples, R2, R4, the two terms that R1 + R3 stands for; R1 and R3 where they were asked for."""

    standard: fmpq
    jacobian: fmpq
    cross: fmpq
    r2: fmpq
    r4: fmpq
    r1: fmpq = ZERO
    r3: fmpq = ZERO

    @property
    def merged(self) -> fmpq:
        return self.jacobian + self.cross + self.r2 + self.r4

    @property
    def printed(self) -> fmpq:
        return self.r1 + self.r2 + self.r3 + self.r4


def merged_risk(perturbed: Perturbed, *, halved: bool = False) -> TinyRisk:
    """E_Q without inverses; `halved` plants a factor 1/2 with the cross term."""
    sums = [fmpq(0)] * 5
    for i in range(len(perturbed.problem.x)):
        s = _Sample(perturbed, i)
        cross = _trace(s.xy * s.N * s.G) * (HALF if halved else 1)
        terms = s.standard, HALF * _trace(s.U * s.G * s.xx * s.G.transpose()), cross, s.r2, s.r4
        sums = [a + b for a, b in zip(sums, terms, strict=True)]
    return TinyRisk(*(total / len(perturbed.problem.x) for total in sums))


def printed_risk(perturbed: Perturbed, *, unsigned: bool = False) -> TinyRisk:
    """Theorem 3 as printed, ||A||_Z^2 = tr(A^T Z A); `unsigned` plants J without its minus sign.

    Raises ZeroDivisionError where an inverse does not exist.
    """
    base, r1, r3 = merged_risk(perturbed), fmpq(0), fmpq(0)
    for i in range(len(perturbed.problem.x)):
        s = _Sample(perturbed, i)
        J = s.U.inv() * s.N.transpose() * s.xy.transpose() * s.xx.inv() * (1 if unsigned else -1)
        gap = s.G - J
        r1 += HALF * _trace(s.U * gap * s.xx * gap.transpose())
        r3 -= HALF * _trace(s.xx.inv() * s.xy * s.N * s.U.inv() * s.N.transpose() * s.xy.transpose())
    m = len(perturbed.problem.x)
    return TinyRisk(base.standard, base.jacobian, base.cross, base.r2, base.r4, r1 / m, r3 / m)


class _Sample:
    """The matrices of sample i: G, U, N, and Lemma 2's covariances."""

    def __init__(self, perturbed: Perturbed, i: int) -> None:
        p = perturbed.problem
        x, y = perturbed.modified(p.x)[i], perturbed.modified(p.y)[i]
        u = p.f(x)
        self.standard = p.loss(y, u)
        self.G, self.U, self.N = (fmpq_mat([list(row) for row in rows]) for rows in (p.jacobian(x), p.U, p.N))
        self.xx, self.xy, self.yy = (perturbed.covariance(i, *rows) for rows in ((p.x, p.x), (p.x, p.y), (p.y, p.y)))
        bends = [s * fmpq_mat([list(row) for row in Q]) for s, Q in zip(p.slope(y, u), p.Q, strict=True)]
        self.r2 = HALF * sum((_trace(self.xx * bend) for bend in bends), fmpq(0))
        self.r4 = HALF * _trace(self.yy * fmpq_mat([list(row) for row in p.Y]))


def _trace(matrix: fmpq_mat) -> fmpq:
    return sum((matrix[k, k] for k in range(matrix.nrows())), fmpq(0))
