"""Averages of mask moments over the mixing ratio, as structured operators."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from msda_theory.masks import MaskLaw, SecondMoment
from msda_theory.masks._moments import MixedMoment, OuterSum
from msda_theory.quadrature import Array, refine
from msda_theory.ratios import RatioLaw, RatioRule

#: of the quadratic forms that say when an average has converged; they round at about 1e-13
PROBE_RTOL, PROBES = 1e-11, 4

Extra = Callable[[MaskLaw, RatioRule], list[SecondMoment]]


def law_parts(mask: MaskLaw) -> Iterator[tuple[float, MaskLaw]]:
    """(probability, law) pairs of which the law is the mixture, without those of probability 0."""
    return ((p, law) for p, law in mask.parts if p > 0)


def is_finite_sum(mask: MaskLaw) -> bool:
    """Whether an average over the ratio is a finite sum, so that no quadrature is made."""
    return all(law.constant_between_breaks for _, law in law_parts(mask))


def ratio_rule(ratio: RatioLaw, mask: MaskLaw, order: int) -> RatioRule:
    """The rule that suits a mask law: exact cell weights where it is constant between breaks, quadrature elsewhere."""
    return ratio.cells(mask.breaks) if mask.constant_between_breaks else ratio.rule(order, mask.breaks)


def averaged_moment(ratio: RatioLaw, mask: MaskLaw, extra: Extra = lambda law, rule: []) -> SecondMoment:
    """E[a_jk] over the ratio, and what `extra` adds, by rules that are refined until they agree on a few random v.

    Raises ToleranceError where they do not.
    """
    if is_finite_sum(mask):
        return _average_at(ratio, mask, 1, extra)
    probes = torch.from_numpy(np.random.default_rng(0).standard_normal((PROBES, mask.size)))
    finest: list[SecondMoment] = []

    def evaluate(order: int) -> tuple[Array, float]:
        finest[:] = [_average_at(ratio, mask, order, extra)]
        forms = (probes * (finest[0] @ probes.T).T).sum(-1).numpy()
        return forms, float(np.abs(forms).max())

    refine(evaluate, PROBE_RTOL, f"the second moment of {mask!r}")
    return finest[0]


def _average_at(ratio: RatioLaw, mask: MaskLaw, order: int, extra: Extra) -> SecondMoment:
    moments = []
    for probability, law in law_parts(mask):
        rule = ratio_rule(ratio, law, order).scaled(probability)
        kept = rule.mass > 0
        rule = RatioRule(rule.ratio[kept], rule.first[kept], rule.second[kept])
        moments += [law.averaged_second_moment(rule.ratio, rule.mass), *extra(law, rule)]
    return moments[0] if len(moments) == 1 else MixedMoment.sum(moments)


def second_role(law: MaskLaw, rule: RatioRule) -> list[SecondMoment]:
    """E_D[(1-lambda)(mu_j + mu_k - 1)], what the second role adds to E_D[a_jk]."""
    means = [second * (law.mean(ratio).flatten() - 0.5) for ratio, second in zip(rule.ratio, rule.second, strict=True)]
    return [OuterSum(torch.stack(means).sum(0))]
