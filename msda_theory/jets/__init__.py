"""Values of a network with their first derivatives along directions and the sum of their second derivatives."""

from msda_theory.jets._jet import Jet, JetRefusedError
from msda_theory.jets._propagate import Propagated, propagate
from msda_theory.jets._slopes import Slopes
from msda_theory.jets._sweep import made, watched

__all__ = ["Jet", "JetRefusedError", "Propagated", "Slopes", "made", "propagate", "watched"]
