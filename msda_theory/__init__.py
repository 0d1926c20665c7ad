"""Which theorems about mixed-sample data augmentation are true, and by how much.

import msda_theory as mt
aug = mt.Augmentation(ratio=mt.Beta(1.0, 1.0), mask=mt.masks.CutMix((8, 8), sampler="inside"))
print(mt.compare(model, mt.losses.Logistic(), x, y, aug))
"""

from msda_theory import bounds, general_losses, losses, masks, mixupe, optimal_classifier, training
from msda_theory.audit import AuditError, AuditReport, audit
from msda_theory.augmentation import Augmentation, MixTable, SeenMoments
from msda_theory.comparison import Comparison, compare
from msda_theory.density_ratios import Density
from msda_theory.derivatives import TransformRefusedError
from msda_theory.exact import ExactLoss, exact_loss
from msda_theory.exact_many import n_mixup_loss
from msda_theory.expansions import (
    ApproximateRisk,
    CancellingTermsWarning,
    DirectionalLoss,
    MeanPointLoss,
    NoInverseError,
    TaylorLoss,
    Trust,
    ZeroHessianNotice,
    approximate_mixup_risk,
    directional_loss,
    mean_point_loss,
    n_mixup_terms,
    perturbed_loss,
    taylor_loss,
)
from msda_theory.folded_ratios import Folded, UpperHalf
from msda_theory.masks import NotEnumerableError
from msda_theory.odds import odds_moment, odds_order
from msda_theory.quadrature import ToleranceError
from msda_theory.ratio_design import compare_ratio_laws, strongest_ratio_laws
from msda_theory.ratios import Beta, Discrete, Mixture, RatioLaw, RatioRule
from msda_theory.simplex_ratios import Dirichlet
from msda_theory.w_ratios import WShaped

__version__ = "0.1.0"

__all__ = [
    "ApproximateRisk",
    "AuditError",
    "AuditReport",
    "Augmentation",
    "Beta",
    "CancellingTermsWarning",
    "Comparison",
    "Density",
    "DirectionalLoss",
    "Dirichlet",
    "Discrete",
    "ExactLoss",
    "Folded",
    "MeanPointLoss",
    "MixTable",
    "Mixture",
    "NoInverseError",
    "NotEnumerableError",
    "RatioLaw",
    "RatioRule",
    "SeenMoments",
    "TaylorLoss",
    "ToleranceError",
    "TransformRefusedError",
    "Trust",
    "UpperHalf",
    "WShaped",
    "ZeroHessianNotice",
    "approximate_mixup_risk",
    "audit",
    "bounds",
    "compare",
    "compare_ratio_laws",
    "directional_loss",
    "exact_loss",
    "general_losses",
    "losses",
    "masks",
    "mean_point_loss",
    "mixupe",
    "n_mixup_loss",
    "n_mixup_terms",
    "odds_moment",
    "odds_order",
    "optimal_classifier",
    "perturbed_loss",
    "strongest_ratio_laws",
    "taylor_loss",
    "training",
]
