"""Theorem 1 and Lemma 3.1 derived from the definition of the MSDA loss, each step reduced to zero by algebra.

    from msda_theory import symbolic
    print(symbolic.theorem1("general"))                  # every step and whether it holds
    print(symbolic.theorem1("mixup").to_latex())
    symbolic.theorem1("mixup", fault="half").holds       # False: a planted fault leaves a nonzero residual

`FAULTS` names the faults that each derivation can plant in itself.
"""

from msda_theory.symbolic.assembly import ASSEMBLY_FAULTS, assembly
from msda_theory.symbolic.derivation import Derivation, Step
from msda_theory.symbolic.ratio_moments import beta_density, beta_moment, tilted_density, tilted_moment
from msda_theory.symbolic.regularisers import lambdify_regularisers, printed_regularisers, regularisers
from msda_theory.symbolic.rewriting import (
    CONJUGACY_FAULTS,
    TILTED_FORM_FAULTS,
    TWO_ROLE_FAULTS,
    conjugacy,
    tilted_form_bernoulli,
    tilted_form_mixup,
    two_role_form,
)
from msda_theory.symbolic.seen_moments import MASKS, MOMENT_FAULTS, seen_moments
from msda_theory.symbolic.taylor import TAYLOR_FAULTS, second_order
from msda_theory.symbolic.theorem1 import THEOREM1_FAULTS, theorem1

FAULTS = {
    "conjugacy": CONJUGACY_FAULTS,
    "two_role_form": TWO_ROLE_FAULTS,
    "tilted_form_mixup": TILTED_FORM_FAULTS,
    "tilted_form_bernoulli": TILTED_FORM_FAULTS,
    "second_order": TAYLOR_FAULTS,
    "seen_moments": MOMENT_FAULTS,
    "assembly": ASSEMBLY_FAULTS,
    "theorem1": THEOREM1_FAULTS,
}

__all__ = [
    "Derivation",
    "Step",
    "FAULTS",
    "MASKS",
    "beta_density",
    "beta_moment",
    "tilted_density",
    "tilted_moment",
    "conjugacy",
    "two_role_form",
    "tilted_form_mixup",
    "tilted_form_bernoulli",
    "second_order",
    "seen_moments",
    "assembly",
    "theorem1",
    "regularisers",
    "printed_regularisers",
    "lambdify_regularisers",
]
