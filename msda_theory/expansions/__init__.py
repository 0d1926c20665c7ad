"""Expansions of the MSDA loss: the theory that `exact` judges."""

from msda_theory.expansions.all_orders import DirectionalLoss, directional_loss
from msda_theory.expansions.approximate_risk import ApproximateRisk, CancellingTermsWarning, approximate_mixup_risk
from msda_theory.expansions.distances import DistanceProfile, r2_by_distance
from msda_theory.expansions.leading import LeadingMoments, leading_moments
from msda_theory.expansions.many_samples import PartnerMoments, n_mixup_terms, partner_moments, partner_terms
from msda_theory.expansions.mean_point import MeanPointLoss, mean_point_loss
from msda_theory.expansions.next_order import NextOrder, Trust, radius_of_trust
from msda_theory.expansions.perturbed_erm import (
    Covariances,
    PerturbedData,
    PerturbedLoss,
    perturbed_data,
    perturbed_loss,
)
from msda_theory.expansions.perturbed_square import CompletedSquare, NoInverseError, completed_square, printed_square
from msda_theory.expansions.perturbed_taylor import PerturbedTerms, perturbed_terms
from msda_theory.expansions.second_order import (
    TaylorLoss,
    Terms,
    ZeroHessianNotice,
    printed_moments,
    taylor_loss,
    taylor_terms,
)

__all__ = [
    "ApproximateRisk",
    "CancellingTermsWarning",
    "CompletedSquare",
    "Covariances",
    "DirectionalLoss",
    "DistanceProfile",
    "LeadingMoments",
    "MeanPointLoss",
    "NextOrder",
    "NoInverseError",
    "PartnerMoments",
    "PerturbedData",
    "PerturbedLoss",
    "PerturbedTerms",
    "TaylorLoss",
    "Terms",
    "Trust",
    "ZeroHessianNotice",
    "approximate_mixup_risk",
    "completed_square",
    "directional_loss",
    "leading_moments",
    "mean_point_loss",
    "n_mixup_terms",
    "partner_moments",
    "partner_terms",
    "perturbed_data",
    "perturbed_loss",
    "perturbed_terms",
    "printed_moments",
    "printed_square",
    "r2_by_distance",
    "radius_of_trust",
    "taylor_loss",
    "taylor_terms",
]
