"""Theorem 1 and Lemma 3.1 derived from the definition of the MSDA loss, each step reduced to zero by algebra.

    from msda_theory import symbolic
    print(symbolic.theorem1("general"))                  # every step and whether it holds
    print(symbolic.theorem1("mixup").to_latex())
    symbolic.theorem1("mixup", fault="half").holds       # False: a planted fault leaves a nonzero residual

`FAULTS` names the faults that each derivation can plant in itself.
"""

from msda_theory.symbolic.all_orders import ALL_ORDER_FAULTS, WITHIN_FAULTS, all_orders, averaged_within
from msda_theory.symbolic.assembly import ASSEMBLY_FAULTS, assembly
from msda_theory.symbolic.coefficients import (
    GMIX_FAULTS,
    HMIX_FAULTS,
    LIMIT_FAULTS,
    OVERLAP_FAULTS,
    STOCHASTIC_FAULTS,
    cutmix_coefficient,
    cutmix_limit,
    gmix_coefficient,
    hmix_coefficient,
    stochastic_coefficient,
)
from msda_theory.symbolic.derivation import Derivation, Step
from msda_theory.symbolic.dirichlet import DIRICHLET_FAULTS, ROLE_FAULTS, dirichlet_conjugacy, n_role_form
from msda_theory.symbolic.first_layer import FIRST_LAYER_FAULTS, first_layer
from msda_theory.symbolic.many_samples import THEOREM5_FAULTS, TWO_RATIO_FAULTS, theorem5, two_ratios_are_mixup
from msda_theory.symbolic.many_taylor import FORMS, n_second_order
from msda_theory.symbolic.many_terms import N_MOMENT_FAULTS, N_TERM_FAULTS, n_moments, n_terms
from msda_theory.symbolic.mean_point import MEAN_POINT_FAULTS, mean_point
from msda_theory.symbolic.perturbed_cross_entropy import (
    CE_FAULTS,
    COROLLARY4_FAULTS,
    corollary4,
    cross_entropy_derivatives,
)
from msda_theory.symbolic.perturbed_erm import (
    COVARIANCE_FAULTS,
    PERTURBED_FORM_FAULTS,
    SPLIT_FAULTS,
    half_split,
    perturbation_covariances,
    perturbed_form,
)
from msda_theory.symbolic.perturbed_terms import (
    PERTURBED_TAYLOR_FAULTS,
    PERTURBED_TERM_FAULTS,
    perturbed_second_order,
    perturbed_terms,
)
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
    "mean_point": MEAN_POINT_FAULTS,
    "first_layer": FIRST_LAYER_FAULTS,
    "dirichlet_conjugacy": DIRICHLET_FAULTS,
    "n_role_form": ROLE_FAULTS,
    "n_second_order": TAYLOR_FAULTS,
    "n_terms": N_TERM_FAULTS,
    "n_moments": N_MOMENT_FAULTS,
    "theorem5": THEOREM5_FAULTS,
    "two_ratios_are_mixup": TWO_RATIO_FAULTS,
    "all_orders": ALL_ORDER_FAULTS,
    "averaged_within": WITHIN_FAULTS,
    "half_split": SPLIT_FAULTS,
    "perturbed_form": PERTURBED_FORM_FAULTS,
    "perturbation_covariances": COVARIANCE_FAULTS,
    "perturbed_second_order": PERTURBED_TAYLOR_FAULTS,
    "perturbed_terms": PERTURBED_TERM_FAULTS,
    "cross_entropy_derivatives": CE_FAULTS,
    "corollary4": COROLLARY4_FAULTS,
    "cutmix_coefficient": OVERLAP_FAULTS["printed"],
    "cutmix_limit": LIMIT_FAULTS["inside"],
    "stochastic_coefficient": STOCHASTIC_FAULTS,
    "hmix_coefficient": HMIX_FAULTS,
    "gmix_coefficient": GMIX_FAULTS,
}

__all__ = [
    "Derivation",
    "Step",
    "FAULTS",
    "FORMS",
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
    "mean_point",
    "dirichlet_conjugacy",
    "first_layer",
    "n_role_form",
    "n_second_order",
    "n_terms",
    "n_moments",
    "theorem5",
    "two_ratios_are_mixup",
    "all_orders",
    "averaged_within",
    "half_split",
    "perturbed_form",
    "perturbation_covariances",
    "perturbed_second_order",
    "perturbed_terms",
    "cross_entropy_derivatives",
    "corollary4",
    "cutmix_coefficient",
    "cutmix_limit",
    "stochastic_coefficient",
    "hmix_coefficient",
    "gmix_coefficient",
    "regularisers",
    "printed_regularisers",
    "lambdify_regularisers",
]
