"""Expansions of the MSDA loss: the theory that `exact` judges."""

from msda_theory.expansions.second_order import (
    TaylorLoss,
    Terms,
    ZeroHessianNotice,
    printed_moments,
    taylor_loss,
    taylor_terms,
)

__all__ = ["TaylorLoss", "Terms", "ZeroHessianNotice", "printed_moments", "taylor_loss", "taylor_terms"]
