"""Findings about the moments, in words: the mean mask, the roles, and the law of the library that fits best."""

from __future__ import annotations

from msda_theory.audit._closed_forms import Fit
from msda_theory.audit._conventions import Line
from msda_theory.audit._hypotheses import Facts
from msda_theory.audit._moments import Estimate
from msda_theory.ratios import RatioLaw


def mean_line(mean: Estimate, facts: Facts) -> Line:
    low, high = float(mean.value.min()), float(mean.value.max())
    gap = facts.gaps[0]
    figures = {
        "E[M], least and largest": [low, high],
        "bound of E[M]": float(mean.bound.max()),
        "largest |E[M - w]|": float(abs(gap.value).max()),
        "|E[M - w]| / bound": gap.excess,
        "|E[(M - w)(2w - 1)]| / bound": facts.gaps[1].excess,
        "exactly constant": facts.constant,
    }
    range_ = f"E[M] from {low:.3f} to {high:.3f} (+- {mean.bound.max():.3f})"
    if facts.constant:
        return Line("mean mask", f"M = w 1 exactly, in every draw; {range_}", figures)
    verdict = "is 0 within its bound" if facts.mean_is_ratio else "is not 0"
    largest = figures["largest |E[M - w]|"]
    return Line("mean mask", f"{range_}; E[M - w], w the label's weight, {verdict}: {largest:.3f} at most", figures)


def role_line(facts: Facts) -> Line:
    words = {
        True: "no difference" + ("" if facts.constant else " found") + " between what the two samples of a pair see",
        False: "the two samples of a pair see different laws",
        None: "not decided: the law of the ratio is not symmetric",
    }
    figures = {"alike": facts.alike, "difference / bound": facts.roles.excess}
    return Line("roles", words[facts.alike], figures)


def fit_line(ranked: tuple[Fit, ...], second: Estimate, law: RatioLaw, assumed: bool) -> Line:
    best, others = ranked[0], [fit.law for fit in ranked[1:] if fit.fits]
    under = f"under {law!r}" + (", which is assumed" if assumed else "")
    figures = {"law": best.law, "misfit / bound": best.misfit, "largest bound": float(second.bound.max())}
    if not best.fits:
        off = f"{best.misfit:.1f} times the bound away" if best.possible else "which draws no such masks"
        words = f"no law of the library {under}; {best.law} is nearest, {off}"
        return Line("second moment", words, {**figures, "not told apart": []})
    more = f"; not told apart: {', '.join(others)}" if others else ""
    return Line("second moment", f"{best.law} {under}, {best.misfit:.2f} of the bound{more}",
                {**figures, "not told apart": others})  # fmt: skip
