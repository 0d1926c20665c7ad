"""R1, R2 and R3 of given networks against the MSDA loss itself, enumerated in rational arithmetic."""

from fractions import Fraction as Q
from itertools import product

import numpy as np
import pytest
import sympy as sp

from msda_theory.symbolic import lambdify_regularisers, printed_regularisers, regularisers

X = x1, x2 = sp.symbols("x1 x2")
DATA = [(Q(1), Q(-2)), (Q(3, 2), Q(1)), (Q(-1, 3), Q(5))]
CENTRED = [(Q(1), Q(-2)), (Q(3, 2), Q(1)), (Q(-5, 2), Q(1))]
LABELS = [Q(1), Q(1, 2), Q(-3)]

# P(lambda), and P(M | lambda).  M(lambda) and 1 - M(1-lambda) have different laws for blocks, whose mean is lambda,
# and for lopsided masks, whose mean is not.
RATIOS = {Q(1, 4): Q(2, 3), Q(3, 4): Q(1, 3)}
BLOCKS = {Q(1, 4): {(0, 0): Q(3, 4), (1, 1): Q(1, 4)}, Q(3, 4): {(1, 0): Q(1, 4), (0, 1): Q(1, 4), (1, 1): Q(1, 2)}}
LOPSIDED = {Q(1, 4): {(0, 0): Q(1, 2), (1, 0): Q(1, 3), (0, 1): Q(1, 6)}, Q(3, 4): {(1, 1): Q(3, 5), (1, 0): Q(2, 5)}}


def mixup(ratio):
    return {(ratio, ratio): Q(1)}


def bernoulli(ratio):
    return {(u, v): (ratio if u else 1 - ratio) * (ratio if v else 1 - ratio) for u, v in product((0, 1), repeat=2)}


LAWS = {"mixup": mixup, "bernoulli": bernoulli, "blocks": BLOCKS.get, "lopsided": LOPSIDED.get}
LINEAR = (3 * x1 - x2 / 2 + 1, lambda u: u**2 / 2)  # squared loss
QUADRATIC = (x1**2 - 2 * x1 * x2 + x2 / 3 + 1, lambda u: 2 * u)
CUBIC = (x1**3 - x1 * x2**2 + x2, lambda u: u**3 / 6 - u)


def draws(law):
    """(lambda, M, probability)."""
    return [(ratio, mask, p * q) for ratio, p in RATIOS.items() for mask, q in law(ratio).items()]


def moved(f, x, r, share):
    """f(x + share (r - x))."""
    return f.subs({v: a + s * (b - a) for v, a, b, s in zip(X, x, r, share, strict=True)}, simultaneous=True)


def msda_loss(f, h, law, data):
    """Eq. (4) as written: one mixed input, one mixed label."""
    total = sp.S.Zero
    for (x, y), (r, z) in product(zip(data, LABELS, strict=True), repeat=2):
        for ratio, mask, p in draws(law):
            value = moved(f, x, r, [1 - M for M in mask])
            total += p * (h(value) - (ratio * y + (1 - ratio) * z) * value)
    return total / len(data) ** 2


def shrunk_loss(f, h, law, data, eps):
    """The two-role form with every share scaled by eps."""
    total = sp.S.Zero
    for (x, y), r in product(zip(data, LABELS, strict=True), data):
        for ratio, mask, p in draws(law):
            first, second = moved(f, x, r, [eps * (1 - M) for M in mask]), moved(f, x, r, [eps * M for M in mask])
            total += p * (ratio * (h(first) - y * first) + (1 - ratio) * (h(second) - y * second))
    return total / len(data) ** 2


def seen(law):
    """The first two moments of the share over both roles."""
    roles = [(p * ratio, [1 - M for M in mask]) for ratio, mask, p in draws(law)]
    roles += [(p * (1 - ratio), mask) for ratio, mask, p in draws(law)]
    return two_moments(roles)


def printed(law):
    """The moments of 1-M under D~: lambda with weight lambda and 1-lambda with weight 1-lambda."""
    tilted = [(r, p * r) for r, p in RATIOS.items()] + [(1 - r, p * (1 - r)) for r, p in RATIOS.items()]
    return two_moments([(p * q, [1 - M for M in mask]) for r, p in tilted for mask, q in law(r).items()])


def two_moments(weighted):
    first = [sum(p * share[j] for p, share in weighted) for j in range(2)]
    return first, [[sum(p * share[j] * share[k] for p, share in weighted) for k in range(2)] for j in range(2)]


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
@pytest.mark.parametrize("network", [LINEAR, QUADRATIC], ids=["linear f, squared loss", "quadratic f, linear h"])
def test_the_expansion_is_exact_where_the_loss_is_quadratic(network, law):
    """Data with a mean; equality of rational numbers."""
    terms = regularisers(*network, X, DATA, LABELS, *seen(law))
    assert all(term.is_Rational for term in terms)
    assert sp.Add(*terms) == sp.nsimplify(msda_loss(*network, law, DATA))


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_the_terms_are_the_coefficients_in_the_size_of_the_share(law):
    """R1 is the coefficient of eps and R2 + R3 that of eps^2, where every share is scaled by eps; cubic f and h."""
    eps = sp.Symbol("epsilon")
    coefficients = sp.Poly(shrunk_loss(*CUBIC, law, DATA, eps), eps).all_coeffs()[::-1]
    standard, r1, r2, r3 = regularisers(*CUBIC, X, DATA, LABELS, *seen(law))
    assert coefficients[:3] == [standard, r1, r2 + r3]


@pytest.mark.parametrize("name", ["mixup", "bernoulli"])
@pytest.mark.parametrize("network", [LINEAR, QUADRATIC], ids=["linear f, squared loss", "quadratic f, linear h"])
def test_the_printed_terms_are_right_for_centred_data(network, name):
    first, second = printed(LAWS[name])
    terms = printed_regularisers(*network, X, CENTRED, LABELS, first[0], second)
    assert first[0] == first[1]
    assert sp.Add(*terms) == sp.nsimplify(msda_loss(*network, LAWS[name], CENTRED))
    assert terms == regularisers(*network, X, CENTRED, LABELS, first, second)


def test_the_printed_terms_suppose_centred_data():
    first, second = printed(mixup)
    terms = printed_regularisers(*LINEAR, X, DATA, LABELS, first[0], second)
    assert sp.Add(*terms) != sp.nsimplify(msda_loss(*LINEAR, mixup, DATA))
    assert terms == regularisers(*LINEAR, X, DATA, LABELS, first, second, centred=True)


@pytest.mark.parametrize("network", [LINEAR, QUADRATIC], ids=["linear f, squared loss", "quadratic f, linear h"])
def test_the_printed_terms_are_wrong_for_blocks(network):
    """Centred data and a mask of mean lambda: R1 is as printed, R2 + R3 is not."""
    first, second = printed(BLOCKS.get)
    terms = printed_regularisers(*network, X, CENTRED, LABELS, first[0], second)
    true = regularisers(*network, X, CENTRED, LABELS, *seen(BLOCKS.get))
    assert sp.Add(*true) == sp.nsimplify(msda_loss(*network, BLOCKS.get, CENTRED))
    assert terms[:2] == true[:2]
    assert terms[2] + terms[3] != true[2] + true[3]


def arrays(x, y, first, second):
    """The arguments as float64 arrays."""
    return tuple(np.array(v, dtype=float) for v in (x, y, first, second))


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("network", [LINEAR, QUADRATIC, CUBIC], ids=["linear", "quadratic", "cubic"])
def test_the_numpy_function_agrees_with_the_exact_terms(network, centred):
    first, second = seen(LOPSIDED.get)
    exact = regularisers(*network, X, DATA, LABELS, first, second, centred=centred)
    function = lambdify_regularisers(*network, X, centred=centred)
    values = function(*arrays(DATA, LABELS, first, second))
    np.testing.assert_allclose(values, [float(e) for e in exact], rtol=1e-13, atol=1e-13)


def test_several_outputs():
    """Softmax cross-entropy on the outputs (f1, f2) is the logistic loss on f1 - f2, with labels (y, 1-y)."""
    f1, f2 = x1**2 - x2, sp.sin(x1) * x2
    first, second = seen(LOPSIDED.get)
    labels = [Q(1), Q(1, 2), Q(0)]
    pairs = [(y, 1 - y) for y in labels]
    one = lambdify_regularisers(f1 - f2, lambda u: sp.log(1 + sp.exp(u)), X)
    two = lambdify_regularisers((f1, f2), lambda u, v: sp.log(sp.exp(u) + sp.exp(v)), X)
    logistic = one(*arrays(DATA, labels, first, second))
    softmax = two(*arrays(DATA, pairs, first, second))
    np.testing.assert_allclose(softmax, logistic, rtol=1e-12, atol=1e-12)
    exact = regularisers((f1, f2), lambda u, v: sp.log(sp.exp(u) + sp.exp(v)), X, DATA, pairs, first, second)
    np.testing.assert_allclose(softmax, [float(e) for e in exact], rtol=1e-12, atol=1e-12)


def test_symbolic_data_and_moments():
    c, y, n, A = sp.symbols("c y n A")
    standard, r1, r2, r3 = regularisers(x1**2, lambda u: u**2, [x1], [[0], [c]], [0, y], [n], [[A]])
    assert sp.expand(standard - (c**4 - y * c**2) / 2) == 0
    assert sp.expand(r1 - (2 * c**2 - y) * 2 * c * n * (-c / 2) / 2) == 0
    assert sp.expand(r2 - 2 * A * (c**2 / 2) * (2 * c) ** 2 / 4) == 0
    assert sp.expand(r3 - (2 * c**2 - y) * 2 * A * (c**2 / 2) / 4) == 0


@pytest.mark.parametrize("labels", [LABELS[:2], [*LABELS, Q(0)]])
def test_one_label_a_sample_is_needed(labels):
    with pytest.raises(ValueError, match="one label a sample"):
        regularisers(*LINEAR, X, DATA, labels, *seen(mixup))
    with pytest.raises(ValueError, match="one label a sample"):
        printed_regularisers(*LINEAR, X, DATA, labels, Q(1, 2), printed(mixup)[1])
