"""Fig. 4: E_i a_{i,i+(x,y)} at lambda = 1/2 on 64 x 64 pixels; are the hybrid methods between Mixup and CutMix?

i runs over the pixels for which i+(x,y) lies in the image.  To divide by all n^2 pixels, or to weigh displacements in
another way, scales all methods alike and moves none out from between two others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import isqrt
from typing import Any

import sympy as sp
from flint import fmpq

from paper_checks.exact_cases import BOX_SAMPLERS, HALF, readable
from paper_checks.findings import Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.park2022.axes import SIDE, Axis, Pair, drawn_axis, grid_axis, plane_axis, printed_axis
from paper_checks.registry import claim
from verify.tiny_laws import Number

SHARE = fmpq(7, 10)  # r of HMix
MIXUP = HALF**2
CUT_LENGTH, HMIX_LENGTH = isqrt(SIDE**2 // 2), isqrt(SIDE**2 * 35 // 100)
OUTSIDE = HALF / (1 - HALF * SHARE)
PRINTED_OUTSIDE = HALF * SIDE**2 / fmpq(SIDE**2 - HMIX_LENGTH**2)
#: half of the plane, since (x, y) and (-x, -y) are apart the same pairs
DISPLACEMENTS = [(x, y) for x in range(SIDE) for y in range(1 - SIDE, SIDE) if x > 0 or y >= 0]


@dataclass(frozen=True)
class Method:
    """a_jk as a function of the two axes' pairs."""

    axis: Axis
    coefficient: Callable[[Pair, Pair], Number]

    def displaced(self, x: int, y: int) -> Number:
        return self.coefficient(self.axis.displaced[x], self.axis.displaced[y])

    def same(self, row: int, column: int) -> Number:
        """a_jj."""
        return self.coefficient(self.axis.same[row], self.axis.same[column])


def both(rows: Pair, columns: Pair) -> Number:
    """E[B_j B_k] = a_jk where 1-M = B: CutMix, GMix."""
    return rows.both * columns.both


def plane(rows: Pair, columns: Pair) -> Number:
    """Line 3 of (11)."""
    return HALF * both(rows, columns)


def stochastic(rows: Pair, columns: Pair) -> Number:
    """q = 1/2."""
    return HALF * MIXUP + HALF * both(rows, columns)


def hmix(outside: fmpq, power: int, rows: Pair, columns: Pair) -> Number:
    """(1-o)^2 + o(1-o)(E[B_j] + E[B_k]) + o^2 E[B_j B_k], o the mask outside the box; App. H prints o for o^2."""
    o = outside
    return (1 - o) ** 2 + o * (1 - o) * (rows.j * columns.j + rows.k * columns.k) + o**power * both(rows, columns)


Methods = dict[str, Method]


def as_printed() -> Methods:
    """(10); its average with Mixup's; App. H with its o_s and its o for o^2; line 3 of (11)."""
    box = printed_axis(CUT_LENGTH)
    return {
        "CutMix": Method(box, both),
        "Stochastic": Method(box, stochastic),
        "HMix": Method(printed_axis(HMIX_LENGTH), partial(hmix, PRINTED_OUTSIDE, 1)),
        "GMix": Method(plane_axis(), plane),
    }


def of_the_laws(sampler: str, power: int = 2) -> Methods:
    """Of the masks that section 4 defines, for one way to place the box; `power` 1 is App. H's slip."""
    box = drawn_axis(CUT_LENGTH, sampler)
    return {
        "CutMix": Method(box, both),
        "Stochastic": Method(box, stochastic),
        "HMix": Method(drawn_axis(HMIX_LENGTH, sampler), partial(hmix, OUTSIDE, power)),
        "GMix": Method(grid_axis(2), both),
        "GMix, released kernel": Method(grid_axis(1), both),
    }


@dataclass(frozen=True)
class Band:
    """The displacements with a coefficient that is not between: how many, and their squared lengths from .. to .."""

    count: int
    shortest: int
    longest: int

    def __str__(self) -> str:
        share = self.count / (2 * SIDE - 1) ** 2
        return f"{share:.1%} of displacements, squared lengths {self.shortest} to {self.longest}" if share else "none"


NOWHERE = Band(0, 0, 0)
#: of the laws, their box at any place inside the image
HMIX_BAND, GMIX_BAND = Band(1456, 30**2, 1693), Band(1732, 29**2, 1800)


def bands(methods: Methods) -> dict[str, Band]:
    """Of each method but CutMix: where min(Mixup, CutMix) <= value <= max(Mixup, CutMix) is false."""
    return {name: _band(m, methods["CutMix"]) for name, m in methods.items() if name != "CutMix"}


def _band(method: Method, cutmix: Method) -> Band:
    out = [s for s in DISPLACEMENTS if not is_between(method.displaced(*s), MIXUP, cutmix.displaced(*s))]
    lengths = [x * x + y * y for x, y in out]
    return Band(sum(2 if length else 1 for length in lengths), min(lengths), max(lengths)) if out else NOWHERE


def pixels_outside(methods: Methods, name: str) -> list[tuple[int, int]]:
    """The pixels j, as (row, column), whose a_jj is not between."""
    method, cutmix, pixels = methods[name], methods["CutMix"], product(range(SIDE), range(SIDE))
    return [j for j in pixels if not is_between(method.same(*j), MIXUP, cutmix.same(*j))]


def is_between(value: Number, one: fmpq, other: fmpq) -> bool:
    low, high = sorted((one, other))
    return _at_most(low, value) and _at_most(value, high)


def _at_most(a: Number, b: Number) -> bool:
    if not (a <= b or a > b):
        raise ArithmeticError(f"{a} and {b} overlap: more bits are needed to compare them")
    return bool(a <= b)


@claim("park2022:fig4", fault="o for o^2 in HMix's coefficient, as App. H has it")
def figure4(trial: Trial) -> Finding:
    """Averaged over pairs as in the figure, and pair by pair, where the pairs j = k decide."""
    printed, inside = as_printed(), of_the_laws("inside")
    found = {"as printed": bands(printed)} | {f"laws, {s} box": bands(of_the_laws(s)) for s in BOX_SAMPLERS}
    figures: dict[str, Any] = {
        f"not between, {what}, {name}": str(b) for what, each in found.items() for name, b in each.items()
    }
    pixels = {name: pixels_outside(inside, name) for name in inside if name != "CutMix"}
    figures |= {f"pixels j with a_jj not between, {name}": len(out) for name, out in pixels.items()}
    figures |= {f"farthest off, {name}": _farthest(inside, name, pixels[name]) for name in ("HMix", "GMix")}
    all_between = all(b == NOWHERE for each in found.values() for b in each.values())
    reason = (
        "the average over pairs, as pictured, leaves the range between Mixup and CutMix at displacements of middle "
        "length for HMix and GMix, printed or true, with each box sampler; pair by pair a_jj does; as printed GMix "
        "starts above CutMix, at 1/2 against (45/64)^2; only Stochastic is between"
    )
    return Finding(verdict_of(all_between), reason, Evidence("enclosure", figures), _corrected(trial))


def _farthest(methods: Methods, name: str, pixels: list[tuple[int, int]]) -> str:
    """The pixel whose a_jj is farthest from both Mixup's and CutMix's, and the three."""
    method, cutmix = methods[name], methods["CutMix"]
    j = max(pixels, key=lambda j: min(abs(float(method.same(*j) - other)) for other in (MIXUP, cutmix.same(*j))))
    return f"a_jj at {j}: Mixup {MIXUP}, CutMix {cutmix.same(*j)}, {name} {readable(method.same(*j))}"


def _corrected(trial: Trial) -> Corrected:
    found = bands(of_the_laws("inside", power=trial.plant(2, 1)))
    expected = {"Stochastic": NOWHERE, "HMix": HMIX_BAND, "GMix": GMIX_BAND}
    gap = convexity_gap()
    return Corrected(
        "Stochastic lies between Mixup and CutMix for every pair of pixels, lambda and q. With the box anywhere inside "
        "the image, HMix (r = 0.7) lies between at all displacements shorter than 30 or longer than sqrt(1693) pixels, "
        "GMix (the printed mask) at all shorter than 29 or longer than sqrt(1800); at these lengths and in between "
        "some do not",
        verdict_of(gap == 0 and all(found[name] == b for name, b in expected.items())),
        Evidence(
            "enclosure",
            {"Stochastic: (a - Mixup)(CutMix - a) - q(1-q)(CutMix - Mixup)^2": str(gap)}
            | {f"not between, {name}": str(found[name]) for name in expected},
        ),
    )


def convexity_gap() -> sp.Expr:
    """(a - b)(c - a) - q(1-q)(c - b)^2 for a = q b + (1-q) c: zero, so a is between b and c."""
    q, b, c = sp.symbols("q mixup cutmix", real=True)
    a = q * b + (1 - q) * c
    return sp.expand((a - b) * (c - a) - q * (1 - q) * (c - b) ** 2)
