"""Values of a network with their first derivatives along directions and the sum of their second derivatives."""

from msda_theory.jets._jet import Jet, JetRefusedError
from msda_theory.jets._propagate import Propagated, propagate

__all__ = ["Jet", "JetRefusedError", "Propagated", "propagate"]
