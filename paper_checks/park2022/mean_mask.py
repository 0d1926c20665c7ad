"""E[M(lambda)] = lambda 1, the assumption of sec. 2, for each mask law of the paper."""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp
from flint import fmpq

from paper_checks.exact_cases import BOX_SAMPLERS, HALF, is_nonzero, is_zero, readable
from paper_checks.findings import Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.registry import claim
from verify.tiny_laws import Number, TinyLaw, bernoulli, cutmix, exact_area, gmix, hmix, mixup
from verify.tiny_problems import NODES

SHAPES = ((3, 3), (4, 4), (2, 4), (4, 6))


def mean_gaps(law: TinyLaw, ratio: Number, drawn_at: Number | None = None) -> list[Number]:
    """E[M_j | lambda] - lambda for every pixel j, by enumeration; `drawn_at` plants another lambda in M."""
    at = ratio if drawn_at is None else drawn_at
    cell = next(c for c in law.cells if c.left <= at <= c.right)
    atoms = cell.atoms(at)
    return [sum(p * mask[j] for p, mask in atoms) - ratio for j in range(law.size)]


def _gaps_at_many_ratios(law: TinyLaw, trial: Trial) -> list[fmpq]:
    """Gaps at NODES + 1 ratios in each cell: as polynomials of lower degree they vanish everywhere if they do here."""
    ratios = [c.left + (c.right - c.left) * fmpq(k, NODES) for c in law.cells for k in range(NODES + 1)]
    return [g for r in ratios for g in mean_gaps(law, r, trial.plant(r, 1 - r))]


def _identity_in_ratio(law: TinyLaw, trial: Trial) -> Finding:
    gaps = _gaps_at_many_ratios(law, trial)
    figures = {"pixels": law.size, "gaps": len(gaps), "largest gap": readable(max(gaps, key=abs))}
    reason = f"E[M_j] - lambda is a polynomial of degree <= {law.size} in lambda that vanishes at {NODES + 1} ratios"
    return Finding(verdict_of(all(g == 0 for g in gaps)), reason, Evidence("exact", figures))


@claim("park2022:mean-mask[mixup]", fault="1-lambda for lambda")
def mixup_mean(trial: Trial) -> Finding:
    return _identity_in_ratio(mixup(4), trial)


@claim("park2022:mean-mask[bernoulli]", fault="1-lambda for lambda")
def bernoulli_mean(trial: Trial) -> Finding:
    return _identity_in_ratio(bernoulli(4), trial)


def _integer_sides(shape: tuple[int, int], r: fmpq) -> list[fmpq]:
    """Ratios at which the box of share (1-lambda) r has integer sides on both axes."""
    common = int(sp.gcd(*shape))
    ratios = (1 - fmpq(k, common) ** 2 / r for k in range(1, common))
    return [v for v in ratios if 0 < v < 1]


Gaps = dict[str, list[fmpq]]
LawOf = Callable[[int, int, str], TinyLaw]


def _box_gaps(law_of: LawOf, sampler: str, r: fmpq) -> Gaps:
    """For each image and ratio with integer sides: the gaps of all pixels."""
    return {
        f"{h}x{w}, lambda={ratio}": mean_gaps(law_of(h, w, sampler), ratio)
        for h, w in SHAPES
        for ratio in _integer_sides((h, w), r)
    }


def _worst(gaps: Gaps) -> str:
    where, values = max(gaps.items(), key=lambda item: max(map(abs, item[1])))
    return f"{max(map(abs, values))} ({where})"


def _box_mean(name: str, law_of: LawOf, r: fmpq, trial: Trial) -> Finding:
    by_sampler = {s: _box_gaps(law_of, s, r) for s in BOX_SAMPLERS}
    figures = {f"largest |E[M_j]-lambda|, {sampler}": _worst(gaps) for sampler, gaps in by_sampler.items()}
    fails = all(any(g != 0 for gaps in by_sampler[s].values() for g in gaps) for s in BOX_SAMPLERS[:3])
    wrapped = [g for n in (2, 3) for g in _gaps_at_many_ratios(exact_area(n, r), trial)]
    corrected = Corrected(
        f"E[M] = lambda 1 if the {name} box wraps around the border and its side is rounded at random so that the mean "
        f"area is right; for any other sampler E[M_j] = o (1 - P(box covers j)), o the value outside, which "
        f"is what the "
        f"library uses",
        verdict_of(all(g == 0 for g in wrapped)),
        Evidence("exact", {"gaps": len(wrapped), "largest gap": readable(max(wrapped, key=abs))}),
    )
    reason = (
        "a box that stays inside the image covers border pixels less often than the centre, so E[M_j] depends on j; "
        "eq. (10) says so itself, its diagonal a_jj = E[1-M_j] is not constant"
    )
    return Finding(verdict_of(not fails), reason, Evidence("exact", figures), corrected)


@claim("park2022:mean-mask[cutmix]", fault="a box of area lambda for 1-lambda, on the torus")
def cutmix_mean(trial: Trial) -> Finding:
    return _box_mean("CutMix", cutmix, fmpq(1), trial)


@claim("park2022:mean-mask[hmix]", fault="M drawn at 1-lambda for lambda, on the torus")
def hmix_mean(trial: Trial) -> Finding:
    return _box_mean("HMix", lambda h, w, s: hmix(h, w, HALF, s), HALF, trial)


def plane_mean(factor: int) -> sp.Expr:
    """int exp(-pi rho^2/(factor (1-lambda) N^2)) 2 pi rho d rho / N^2: the mean of 1-M, p uniform on the plane."""
    rho, share, side = sp.symbols("rho share N", positive=True)
    kernel = sp.exp(-sp.pi * rho**2 / (factor * share * side**2))
    return sp.simplify(sp.integrate(2 * sp.pi * rho * kernel, (rho, 0, sp.oo)) / side**2 / share)


@claim("park2022:mean-mask[gmix]", fault="the factor 2 kept in the corrected kernel")
def gmix_mean(trial: Trial) -> Finding:
    """On the plane the printed kernel gives E[1-M] = 2(1-lambda); on a 2 x 2 grid the gap is enclosed."""
    gaps = {str(r): mean_gaps(gmix(2, 2), r)[0] for r in (fmpq(1, 4), fmpq(1, 2), fmpq(9, 10))}
    printed = plane_mean(2)
    figures = {"plane: E[1-M]/(1-lambda)": str(printed)}
    figures |= {f"2x2 grid: E[M_1]-lambda at lambda={r}": readable(g) for r, g in gaps.items()}
    fails = printed != 1 and all(is_nonzero(g) for g in gaps.values())
    right = plane_mean(trial.plant(1, 2))
    corrected = Corrected(
        "with exp(-pi ||i-p||^2 / ((1-lambda) N^2)), without the 2, E[1-M] = 1-lambda on the plane; on a grid the bump "
        "is cut at the border and no factor makes E[M] = lambda, so the library keeps the grid's own mean",
        verdict_of(right == 1),
        Evidence("symbolic", {"plane: E[1-M]/(1-lambda)": str(right), **_grid_gap()}),
    )
    reason = "the printed kernel has twice its mass: on the plane E[1-M] = 2(1-lambda), above 1 for lambda < 1/2"
    return Finding(verdict_of(not fails), reason, Evidence("enclosure", figures), corrected)


def _grid_gap() -> dict[str, str]:
    gap = mean_gaps(gmix(2, 2, factor=1), HALF)[0]
    return {"2x2 grid: E[M_1]-lambda at lambda=1/2": readable(gap), "is zero there": str(is_zero(gap))}
