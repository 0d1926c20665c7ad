"""Mask laws: the conditional law of the mask M given the mixing ratio, one small class a concept."""

from msda_theory.masks._base import Atoms, MaskLaw, NotEnumerableError
from msda_theory.masks._boxes import SAMPLERS, CutMix, HMix, interval_cover
from msda_theory.masks._gaussian import KERNELS, GMix
from msda_theory.masks._stochastic import Stochastic
from msda_theory.masks._uniform import Bernoulli, Mixup

__all__ = [
    "KERNELS",
    "SAMPLERS",
    "Atoms",
    "Bernoulli",
    "CutMix",
    "GMix",
    "HMix",
    "MaskLaw",
    "Mixup",
    "NotEnumerableError",
    "Stochastic",
    "interval_cover",
]
