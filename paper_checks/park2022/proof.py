"""The displays of Theorem 1's statement and proof: both expressions of G and H, the Taylor step, the last display."""

from __future__ import annotations

from itertools import product

import sympy as sp
from flint import fmpq

from msda_theory.symbolic import second_order
from paper_checks.exact_cases import problem, readable
from paper_checks.findings import Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.park2022.rewriting import derivation_figures
from paper_checks.registry import claim
from verify.tiny_laws import bernoulli, mixup
from verify.tiny_problems import BetaInt, average, expansion, msda_loss, tilted_moments

SAMPLES, PIXELS = 3, 2


def both_expressions(weights: sp.Matrix, *, centred: bool, cross_sign: int = 1) -> sp.Expr:
    """The first expression of (8) less the second, at generic data, moments a_jk and derivative products `weights`.

    G has weights d_j f d_k f, H has d_jk f.  `cross_sign` plants a sign in (r_j - x_j)(r_k - x_k).
    """
    x = sp.symbols(f"x:{PIXELS}")
    r = [list(sp.symbols(f"r{i}_:{PIXELS}")) for i in range(SAMPLES)]
    if centred:
        r[-1] = [-sum(row[j] for row in r[:-1]) for j in range(PIXELS)]
    a = sp.Matrix(PIXELS, PIXELS, lambda j, k: sp.Symbol(f"a{min(j, k)}{max(j, k)}"))
    difference = sp.Integer(0)
    for j, k in product(range(PIXELS), repeat=2):
        first = sum((row[j] - x[j]) * (row[k] - cross_sign * x[k]) for row in r) / sp.Integer(SAMPLES)
        second = sum(row[j] * row[k] for row in r) / sp.Integer(SAMPLES) + x[j] * x[k]
        difference += a[j, k] * weights[j, k] * (first - second)
    return sp.expand(difference)


def _both_agree(weights: sp.Matrix, name: str, trial: Trial) -> Finding:
    centred = both_expressions(weights, centred=True, cross_sign=trial.plant(1, -1))
    general = both_expressions(weights, centred=False)
    figures = {"difference, E[r] = 0": str(centred), "terms left where E[r] is not 0": len(general.args)}
    reason = (
        f"both expressions of {name} agree for all data with E[r] = 0, as the theorem assumes; without it the "
        f"second lacks "
        "-(E[r_j] x_k + x_j E[r_k]), which the library keeps"
    )
    return Finding(verdict_of(centred == 0 and general != 0), reason, Evidence("symbolic", figures))


@claim("park2022:eq8-G", fault="+x_k for -x_k in (r_k - x_k)")
def both_g(trial: Trial) -> Finding:
    g = sp.Matrix(sp.symbols(f"g:{PIXELS}"))
    return _both_agree(g * g.T, "G", trial)


@claim("park2022:eq8-H", fault="+x_k for -x_k in (r_k - x_k)")
def both_h(trial: Trial) -> Finding:
    hessian = sp.Matrix(PIXELS, PIXELS, lambda j, k: sp.Symbol(f"f{min(j, k)}{max(j, k)}"))
    return _both_agree(hessian, "H", trial)


@claim("park2022:eq15-19", fault="the factor 1/2 of the second-order term dropped")
def taylor_step(trial: Trial) -> Finding:
    derivations = [second_order(d, fault=trial.plant(None, "half")) for d in (1, 2, 3)]
    figures = {f"d = {d}": str(derivation_figures(x)["steps that fail"]) for d, x in enumerate(derivations, 1)}
    figures["steps"] = str(sum(map(len, derivations)))
    reason = (
        "value, gradient (17) and Hessian (18) of phi_i at N = 0 are as printed, for generic h and f in 1 to 3 "
        "coordinates"
    )
    return Finding(verdict_of(all(d.holds for d in derivations)), reason, Evidence("symbolic", figures))


def quartic_remainder(ratio: BetaInt, data: list[int]) -> fmpq:
    """(4) less L_m + R1 + R2 + R3 for f(x) = x, h(u) = u^4, y = 0, one Bernoulli coordinate, centred data."""
    law, pairs = bernoulli(1), list(product(data, repeat=2))
    exact = average(
        law, ratio.density, lambda lam, m: sum((m[0] * a + (1 - m[0]) * b) ** 4 for a, b in pairs) / fmpq(len(pairs))
    )
    share = average(law, ratio.tilted_density, lambda lam, m: 1 - m[0])  # E(1-M) = E(1-M)^2, as M is 0 or 1
    m, spread = fmpq(len(data)), sum(r * r for r in data) / fmpq(len(data))
    standard = sum(x**4 for x in data) / m
    r1 = sum(-4 * x**3 * x for x in data) * share / m
    r2 = sum(12 * x**2 * (spread + x**2) for x in data) * share / (2 * m)
    return exact - standard - r1 - r2


def remainder_function(*, half: bool = True) -> tuple[sp.Expr, sp.Symbol]:
    """phi(N) = [phi_i(N) - its second-order Taylor polynomial] / N^2 for the same problem, averaged over x_i and r."""
    share = sp.Symbol("N")
    data = (2, -1, -1)
    total = sp.Integer(0)
    for x, r in product(data, repeat=2):
        exact = (x + share * (r - x)) ** 4
        second = sp.Rational(1, 2) if half else sp.Integer(1)
        taylor = x**4 + 4 * x**3 * (r - x) * share + second * 12 * x**2 * (r - x) ** 2 * share**2
        total += (exact - taylor) / sp.Integer(len(data) ** 2)
    return sp.expand(sp.expand(total) / share**2), share


@claim("park2022:appA-remainder", fault="the factor 1/2 of the second-order term dropped in phi")
def last_display_remainder(trial: Trial) -> Finding:
    """One Bernoulli coordinate: (1-M) phi M = 0 whatever phi is, and the remainder is not zero."""
    ratio = BetaInt(1, 1)
    left = quartic_remainder(ratio, [2, -1, -1])
    figures = {
        "printed (1-M) phi(1-M) M": "0 for every phi, as M is 0 or 1",
        "exact loss - (L_m + R1 + R2 + R3)": str(left),
        "counterexample": "f(x) = x, h(u) = u^4, y = 0, x = 2, -1, -1, M ~ Bernoulli(lambda), lambda ~ Beta(1,1)",
    }
    phi, share = remainder_function(half=not trial.faulty)
    vanishes, at_one = sp.limit(phi, share, 0), phi.subs(share, 1)
    kept = average(bernoulli(1), ratio.tilted_density, lambda lam, m: (1 - m[0]) * (1 - m[0]))
    stated = fmpq(int(at_one.p), int(at_one.q)) * kept
    corrected = Corrected(
        "E (1-M)^T phi(1-M) (1-M), as in the statement of the theorem: M at the end is a slip for 1-M",
        verdict_of(vanishes == 0 and stated == left),
        Evidence(
            "exact", {"lim phi at 0": str(vanishes), "E (1-M) phi(1-M) (1-M)": str(stated), "remainder": str(left)}
        ),
    )
    reason = (
        "with masks of 0 and 1 the printed remainder vanishes identically, so the expansion would be exact; it is not"
    )
    return Finding(verdict_of(left == 0), reason, Evidence("exact", figures), corrected)


@claim("park2022:appA-R3", fault="y - h' for h' - y in R3")
def last_display_r3(trial: Trial) -> Finding:
    """Quadratic f, linear h, Mixup: the expansion must be exact, and is with the factor h' - y_i only."""
    ratio, tiny = BetaInt(2, 1), mixup(3)
    p = problem(3, 3, linear=False, centred=True)
    moments = tilted_moments(tiny, ratio.tilted_density)
    exact, terms = msda_loss(p, tiny, ratio), expansion(p, moments)
    bare = sum(  # R3 as printed: without h'(f_i) - y_i
        moments.second[j][k] * p.Q[j][k] * (r[j] - x[j]) * (r[k] - x[k])
        for x, r in product(p.x, repeat=2)
        for j, k in product(range(3), repeat=2)
    ) / (2 * fmpq(len(p.x)) ** 2)
    without = terms.standard + terms.r1 + terms.r2
    printed_gap = exact - without - bare
    gap = exact - without - trial.plant(terms.r3, -terms.r3)
    figures = {"exact - printed": readable(printed_gap), "printed R3": readable(bare), "R3 of (7)": readable(terms.r3)}
    corrected = Corrected(
        "R3 with the factor h'(f(x_i)) - y_i, as in (7)",
        verdict_of(gap == 0),
        Evidence("exact", {"exact - corrected": readable(gap)}),
    )
    reason = "the last display drops the factor h'(f(x_i)) - y_i that (7) and (19) have (and a closing parenthesis)"
    return Finding(verdict_of(printed_gap == 0), reason, Evidence("exact", figures), corrected)
