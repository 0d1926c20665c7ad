"""The statements about the moments against enumeration and quadrature; generic jets against concrete functions."""

import numpy as np
import pytest
import sympy as sp
from scipy import stats
from scipy.integrate import quad

from msda_theory.symbolic import seen_moments
from msda_theory.symbolic._notation import Smooth
from msda_theory.symbolic.taylor import Sample


def overlap(n, side):
    """The share of places of a box of `side` pixels on an n x n torus that cover (0, 0) and (n/2, n/2), counted."""
    axis = [(-corner % n < side) and ((n // 2 - corner) % n < side) for corner in range(n)]
    return np.outer(axis, axis).mean()


def share(ratio):
    """a_jk(lambda) of that torus as the pixels shrink."""
    return 4 * max(np.sqrt(1 - ratio) - 0.5, 0.0) ** 2


@pytest.mark.parametrize("side", [0, 7, 10, 13, 20])
def test_the_overlap_of_boxes_on_a_torus(side):
    assert overlap(20, side) == pytest.approx(share(1 - (side / 20) ** 2), abs=1e-15)


def test_boxes_on_a_torus_miss_the_printed_second_moment_by_one_240th():
    """Both roles by quadrature, from what the second sees: P(both kept) = 1 - 2(1-lambda) + a."""
    true, _ = quad(lambda u: u * share(u) + (1 - u) * (1 - 2 * (1 - u) + share(u)), 0, 1, points=[0.75])
    printed, _ = quad(lambda u: 2 * u * share(u), 0, 1, points=[0.75])
    assert printed - true == pytest.approx(-1 / 240, rel=1e-9)
    stated = seen_moments("general")["Boxes on a torus: the printed second moment is wrong"]
    assert stated.statement.rhs == sp.Rational(-1, 240)


@pytest.mark.parametrize("a, b", [(1.0, 1.0), (0.5, 2.0)])
def test_the_share_seen_over_both_roles_by_simulation(a, b):
    """Independent Bernoulli coordinates, 10^5 pairs; z-scores beyond 5 come once in 10^6 runs."""
    n, rng = 100_000, np.random.default_rng(0)
    ratio = stats.beta(a, b).rvs(n, random_state=rng)
    mask = (rng.random((n, 2)) < ratio[:, None]).astype(float)
    role = rng.random(n) < ratio
    seen = np.where(role[:, None], 1 - mask, mask)
    product = a * b / ((a + b) * (a + b + 1))
    for sample, expected in ((seen[:, 0], 2 * product), (seen[:, 0] * seen[:, 1], product)):
        assert abs(sample.mean() - expected) < 5 * sample.std() / np.sqrt(n)


def concrete(expression, functions):
    """The unspecified functions of an expression, and their derivatives, replaced by given ones."""

    def value(applied):
        parameters, body = functions[applied.name]
        for parameter, order in zip(parameters, applied.orders, strict=True):
            body = body.diff(parameter, order)
        return body.subs(dict(zip(parameters, applied.args, strict=True)), simultaneous=True)

    while expression.has(Smooth):
        inner = next(e for e in expression.atoms(Smooth) if not any(x.has(Smooth) for x in e.args))
        expression = expression.xreplace({inner: value(inner)})
    return expression


def test_the_printed_derivatives_for_given_functions():
    """(17) and (18) for h = exp, f = sin(x1) x2^2, against sympy's derivatives of the concrete phi."""
    u, v, w = sp.symbols("u v w")
    functions = {"h": ((u,), sp.exp(u)), "f": ((v, w), sp.sin(v) * w**2)}
    s = Sample.of(2)
    phi, zero = concrete(s.phi(), functions), dict.fromkeys(s.N, 0)
    assert phi.free_symbols == {*s.x, *s.r, *s.N, s.y}
    for j in range(2):
        assert sp.simplify(phi.diff(s.N[j]).subs(zero) - concrete(s.gradient(j), functions)) == 0
        for k in range(2):
            assert sp.simplify(phi.diff(s.N[j], s.N[k]).subs(zero) - concrete(s.hessian(j, k), functions)) == 0


def test_the_printed_derivatives_in_sympys_own_notation():
    """(17) against Derivative and Subs of undefined functions."""
    h, f, s = sp.Function("h"), sp.Function("f"), Sample.of(2)
    value = f(*(x + N * step for x, N, step in zip(s.x, s.N, s.move, strict=True)))
    phi, zero, u = h(value) - s.y * value, dict.fromkeys(s.N, 0), sp.Symbol("u")
    for k in range(2):
        slope = sp.Subs(h(u).diff(u), u, f(*s.x)) - s.y
        assert sp.expand(phi.diff(s.N[k]).subs(zero).doit() - slope.doit() * f(*s.x).diff(s.x[k]) * s.move[k]) == 0
