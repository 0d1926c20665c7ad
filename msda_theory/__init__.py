"""Which theorems about mixed-sample data augmentation are true, and by how much.

import msda_theory as mt
aug = mt.Augmentation(ratio=mt.Beta(1.0, 1.0), mask=mt.masks.CutMix((8, 8), sampler="inside"))
print(mt.compare(model, mt.losses.Logistic(), x, y, aug))
"""

from msda_theory import losses, masks, training
from msda_theory.audit import AuditError, AuditReport, audit
from msda_theory.augmentation import Augmentation, MixTable, SeenMoments
from msda_theory.comparison import Comparison, compare
from msda_theory.derivatives import TransformRefusedError
from msda_theory.density_ratios import Density
from msda_theory.exact import ExactLoss, exact_loss
from msda_theory.exact_many import n_mixup_loss
from msda_theory.expansions import TaylorLoss, ZeroHessianNotice, n_mixup_terms, taylor_loss
from msda_theory.masks import NotEnumerableError
from msda_theory.quadrature import ToleranceError
from msda_theory.ratios import Beta, Discrete, Mixture, RatioLaw, RatioRule
from msda_theory.simplex_ratios import Dirichlet

__version__ = "0.1.0"

__all__ = [
    "AuditError",
    "AuditReport",
    "audit",
    "Augmentation",
    "Beta",
    "Comparison",
    "Density",
    "Dirichlet",
    "Discrete",
    "ExactLoss",
    "MixTable",
    "Mixture",
    "NotEnumerableError",
    "RatioLaw",
    "RatioRule",
    "SeenMoments",
    "TaylorLoss",
    "ToleranceError",
    "TransformRefusedError",
    "ZeroHessianNotice",
    "compare",
    "exact_loss",
    "losses",
    "masks",
    "n_mixup_loss",
    "n_mixup_terms",
    "taylor_loss",
    "training",
]
