"""Mask laws: the conditional law of the mask M given the mixing ratio, one small class a concept."""

from msda_theory.masks._base import Atoms, MaskLaw, NotEnumerableError
from msda_theory.masks._boxes import CutMix, HMix
from msda_theory.masks._fourier import FMix
from msda_theory.masks._gaussian import KERNELS, GMix
from msda_theory.masks._intervals import SAMPLERS, interval_cover
from msda_theory.masks._moments import SecondMoment
from msda_theory.masks._prescribed import Gaussian
from msda_theory.masks._random_share import RandomHMix
from msda_theory.masks._resizemix import ResizeMix
from msda_theory.masks._stochastic import Stochastic
from msda_theory.masks._uniform import Bernoulli, Mixup
from msda_theory.masks.displacement import by_displacement, mean_by_displacement

__all__ = [
    "KERNELS",
    "SAMPLERS",
    "Atoms",
    "Bernoulli",
    "CutMix",
    "FMix",
    "GMix",
    "Gaussian",
    "HMix",
    "MaskLaw",
    "Mixup",
    "NotEnumerableError",
    "RandomHMix",
    "ResizeMix",
    "SecondMoment",
    "Stochastic",
    "by_displacement",
    "interval_cover",
    "mean_by_displacement",
]
