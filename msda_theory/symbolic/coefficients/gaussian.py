"""GMix: a bump exp(-pi |i-p|^2 / (tau N^2)) about a point p, on the plane, on the image and on its pixels.

tau = 2(1-lambda) as printed by Park et al., sec. 4; 1-lambda without the factor 2; min(lambda, 1-lambda) in the
released code, where the bump is 1-M for lambda >= 1/2 and M below.  N^2 is the number of pixels, H W if not square.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

import sympy as sp

from msda_theory.symbolic._notation import average, equation, moments, ratio, require_fault
from msda_theory.symbolic.derivation import Derivation, Step

GMIX_FAULTS = ("square", "jacobian", "two", "axes", "border", "cross")

N, tau = sp.symbols("N tau", positive=True)
n = sp.Symbol("n", integer=True, positive=True)
i, j, p = sp.symbols("i j p", real=True)
distance = sp.Symbol(r"\delta", nonnegative=True)
WIDTHS = {"printed": 2 * (1 - ratio), "without the 2": 1 - ratio}


def gmix_plane_coefficient(distance: Any, width: Any, area: Any) -> sp.Expr:
    """(tau/2) exp(-pi |i-j|^2 / (2 tau N^2)), p anywhere on the plane; (11), line 3, for tau = 2(1-lambda)."""
    width = sp.sympify(width)
    return width / 2 * sp.exp(-sp.pi * distance**2 / (2 * width * area))


def gmix_axis(j: Any, k: Any, n: Any, width: Any, area: Any) -> sp.Expr:
    """One axis of E[(1-M_j)(1-M_k)], the sum over the pixels p of it read as an integral from 1/2 to n + 1/2.

    Pixels count from 1, m = (j+k)/2, kappa = sqrt(2 pi/(tau N^2)):

        exp(-kappa^2 (j-k)^2 / 4) sqrt(pi)/(2 kappa n) (erf(kappa (n+1/2-m)) + erf(kappa (m-1/2))).
    """
    j, k, n = map(sp.sympify, (j, k, n))
    kappa, middle = sp.sqrt(2 * sp.pi / (width * area)), (j + k) / 2
    reach = sp.erf(kappa * (n + sp.S.Half - middle)) + sp.erf(kappa * (middle - sp.S.Half))
    return sp.exp(-(kappa**2) * (j - k) ** 2 / 4) * sp.sqrt(sp.pi) / (2 * kappa * n) * reach


@cache
def gmix_coefficient(*, fault: str | None = None) -> Derivation:
    """a_ij of GMix: the square completed, the integral over the plane, the border, and both kernels.

    Faults: "square": (i-j)^2 in place of half of it; "jacobian": the 1/N^2 left out, as in line 2 of (11); "two": the
    factor 2 lost in the printed kernel; "axes": the mean of the axes for their product; "border": the integral up to
    n for n + 1/2; "cross": E[M_i] + E[M_j] counted once where the bump is M.
    """
    require_fault(fault, GMIX_FAULTS)
    return Derivation(
        "GMix",
        (_factorised(fault), _square(fault), *_plane(fault), *_kernels(fault), _image(fault), _bump_kept(fault)),
    )


def _factorised(fault: str | None) -> Step:
    """Sums over the pixels p of 2 x 3: the bump is a product of one factor an axis."""
    rows, columns = sp.symbols("x_1:3"), sp.symbols("y_1:4")
    summed = sp.Add(*(x * y for x, y in product(rows, columns)))
    right = sp.Add(*rows) * sp.Add(*columns)
    if fault == "axes":
        right = (sp.Add(*rows) + sp.Add(*columns)) / 2
    return Step("The axes factorise", equation(summed, right), summed - right, "Park et al., (11), line 1")


def _square(fault: str | None) -> Step:
    part = (i - j) ** 2 / (1 if fault == "square" else 2)
    statement = equation((i - p) ** 2 + (j - p) ** 2, 2 * (p - (i + j) / 2) ** 2 + part)
    return Step("The square completed", statement, statement.lhs - statement.rhs, "Park et al., (11)")


def _bump_integral(power: int, width: sp.Expr) -> sp.Expr:
    """int exp(-power pi p^2 / (tau N^2)) dp over the line."""
    return sp.Integral(sp.exp(-power * sp.pi * p**2 / (width * N**2)), (p, -sp.oo, sp.oo))


def _plane(fault: str | None) -> tuple[Step, Step]:
    """1/N^2 of the integral over the plane, two axes: of the product of two bumps, and of one."""
    area = 1 if fault == "jacobian" else N**2
    two, one = (_bump_integral(power, tau) for power in (2, 1))
    both, mean = equation(two**2 / area, tau / 2), equation(one**2 / area, tau)
    shape = gmix_plane_coefficient(distance, tau, N**2)
    return (
        Step(
            "Plane: second moment of 1-M",
            (both, equation(sp.Symbol("a_ij"), shape)),
            (both.lhs.doit() - both.rhs, sp.log(shape * 2 / tau).expand(force=True) + _exponent(tau)),
            "Park et al., (11), lines 2 and 3",
        ),
        Step("Plane: mean of 1-M", mean, mean.lhs.doit() - mean.rhs, "Park et al., sec. 4"),
    )


def _exponent(width: sp.Expr) -> sp.Expr:
    """Half of |i-j|^2 is left of the completed square."""
    return sp.pi * (distance**2 / 2) / (width * N**2)


def _kernels(fault: str | None) -> tuple[Step, ...]:
    """As printed: line 3 of (11), E[1-M] = 2(1-lambda); without the 2, E[1-M] = 1-lambda."""
    lines = {
        "printed": ((1 - ratio), sp.pi * (distance / 2) ** 2 / ((1 - ratio) * N**2), 2 * (1 - ratio)),
        "without the 2": ((1 - ratio) / 2, sp.pi * distance**2 / (2 * (1 - ratio) * N**2), 1 - ratio),
    }
    steps = []
    for name, (factor, exponent, mean) in lines.items():
        width = WIDTHS[name] / (2 if fault == "two" else 1)
        statement = equation(sp.Symbol("a_ij"), factor * sp.exp(-exponent))
        gaps = width / 2 - factor, _exponent(width) - exponent, width - mean
        source = "Park et al., (11), line 3" if name == "printed" else "corrects Park et al., sec. 4: E[M] = lambda"
        steps.append(Step(f"Kernel {name}", (statement, equation(tau, mean)), gaps, source))
    return tuple(steps)


def _image(fault: str | None) -> Step:
    """A primitive of one axis' bump, taken from 1/2 to n + 1/2: its derivative is the bump, its ends the image's."""
    kappa, middle = sp.Symbol("kappa", positive=True), sp.Symbol("m", real=True)
    primitive = sp.sqrt(sp.pi) / (2 * kappa) * sp.erf(kappa * (p - middle))
    bump = sp.exp(-(kappa**2) * (p - middle) ** 2)
    top = n if fault == "border" else n + sp.S.Half
    stated = sp.sqrt(sp.pi) / (2 * kappa) * (sp.erf(kappa * (top - middle)) + sp.erf(kappa * (middle - sp.S.Half)))
    integral = sp.Integral(bump, (p, sp.S.Half, n + sp.S.Half))
    ends = primitive.subs(p, n + sp.S.Half) - primitive.subs(p, sp.S.Half)
    gap = sp.expand(ends - stated)
    gaps = sp.simplify(primitive.diff(p) / bump) - 1, gap, sp.limit(gap, kappa, 0)
    return Step("On the image, an axis", equation(integral, stated), gaps, "in place of Park et al., (11), line 2")


def _bump_kept(fault: str | None) -> Step:
    """The released kernel below lambda = 1/2: M is the bump."""
    m_i, m_j, both = sp.symbols("m_i m_j E_ij")
    M = sp.symbols("M_i M_j")
    table = moments((m_i, m_j), sp.Matrix([[sp.nan, both], [both, sp.nan]]))
    right = 1 - m_i - (0 if fault == "cross" else m_j) + both
    residual = average((1 - M[0]) * (1 - M[1]), M, table) - right
    return Step("Where M itself is the bump", equation(sp.Symbol("a_ij"), right), residual, "the released code")
