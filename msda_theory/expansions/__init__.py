"""Expansions of the MSDA loss: the theory that `exact` judges."""

from msda_theory.expansions.many_samples import PartnerMoments, n_mixup_terms, partner_moments, partner_terms
from msda_theory.expansions.second_order import (
    TaylorLoss,
    Terms,
    ZeroHessianNotice,
    printed_moments,
    taylor_loss,
    taylor_terms,
)

__all__ = [
    "PartnerMoments",
    "TaylorLoss",
    "Terms",
    "ZeroHessianNotice",
    "n_mixup_terms",
    "partner_moments",
    "partner_terms",
    "printed_moments",
    "taylor_loss",
    "taylor_terms",
]
