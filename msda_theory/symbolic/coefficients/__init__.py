"""The coefficients a_jk = E[(1-M_j)(1-M_k) | lambda] of Park et al., (9), in closed form for each mask law.

Derivations: `cutmix_coefficient` counts the positions of a box on the pixel grid, `cutmix_limit` lets the pixels
shrink, `hmix_coefficient` and `stochastic_coefficient` mix boxes with Mixup, `gmix_coefficient` integrates a bump.
(Bernoulli masks: `seen_moments`.)  Closed forms, of symbols or of numbers:

    interval_overlap(j, k, n, side, sampler)          one axis of CutMix's a_jk; continuous=True for small pixels
    printed_overlap(j, k, n, side)                    the same as (10) prints it
    hmix_coefficient_of(outside, v_j, v_k, both)      stochastic_coefficient_of(q, mixup, cutmix)
    gmix_plane_coefficient(distance, width, area)     gmix_axis(j, k, n, width, area)
"""

from msda_theory.symbolic.coefficients.boxes import interval_overlap, printed_overlap
from msda_theory.symbolic.coefficients.counting import OVERLAP_FAULTS, cutmix_coefficient
from msda_theory.symbolic.coefficients.gaussian import GMIX_FAULTS, gmix_axis, gmix_coefficient, gmix_plane_coefficient
from msda_theory.symbolic.coefficients.hybrid import (
    HMIX_FAULTS,
    STOCHASTIC_FAULTS,
    hmix_coefficient,
    hmix_coefficient_of,
    outside_value,
    stochastic_coefficient,
    stochastic_coefficient_of,
)
from msda_theory.symbolic.coefficients.limit import LIMIT_FAULTS, cutmix_limit

__all__ = [
    "GMIX_FAULTS",
    "HMIX_FAULTS",
    "LIMIT_FAULTS",
    "OVERLAP_FAULTS",
    "STOCHASTIC_FAULTS",
    "cutmix_coefficient",
    "cutmix_limit",
    "gmix_axis",
    "gmix_coefficient",
    "gmix_plane_coefficient",
    "hmix_coefficient",
    "hmix_coefficient_of",
    "interval_overlap",
    "outside_value",
    "printed_overlap",
    "stochastic_coefficient",
    "stochastic_coefficient_of",
]
