"""Bounds that the papers derive from the expansion: on the adversarial loss and on Rademacher complexity."""

from msda_theory.bounds.adversarial import (
    adversarial_loss_linear,
    adversarial_taylor,
    in_theta,
    require_homogeneous,
)
from msda_theory.bounds.attacks import Attack, fast_gradient, projected_gradient
from msda_theory.bounds.constants import SharedConstants, shared_constants
from msda_theory.bounds.ellipsoids import Ball, Body, Ellipsoid, Maximum
from msda_theory.bounds.generalisation import (
    contraction_constant,
    generalisation_gap,
    glm_bound,
    masked_covariance,
    masked_glm_bound,
    masked_network_bound,
    mean_bound,
    network_bound,
    ridge_bound,
    sample_bound,
)
from msda_theory.bounds.intersections import Intersection, Union
from msda_theory.bounds.mixup_class import MixupClass
from msda_theory.bounds.rademacher import Complexity, rademacher_complexity
from msda_theory.bounds.radii import Radii, robust_radii
from msda_theory.bounds.relaxation import certified_adversarial
from msda_theory.bounds.retentive import Retentive, retentive_level, retentiveness

__all__ = [
    "Attack",
    "Ball",
    "Body",
    "Complexity",
    "Ellipsoid",
    "Intersection",
    "Maximum",
    "MixupClass",
    "Radii",
    "Retentive",
    "SharedConstants",
    "Union",
    "adversarial_loss_linear",
    "adversarial_taylor",
    "certified_adversarial",
    "contraction_constant",
    "fast_gradient",
    "generalisation_gap",
    "glm_bound",
    "in_theta",
    "masked_covariance",
    "masked_glm_bound",
    "masked_network_bound",
    "mean_bound",
    "network_bound",
    "projected_gradient",
    "rademacher_complexity",
    "require_homogeneous",
    "retentive_level",
    "retentiveness",
    "ridge_bound",
    "robust_radii",
    "sample_bound",
    "shared_constants",
]
