"""To train with: mixing transforms for batches, and the exact loss and its expansion as objectives."""

from msda_theory.exact_grid import GridObjective
from msda_theory.training.objectives import ExactObjective, TaylorObjective
from msda_theory.training.transforms import Mix

__all__ = ["ExactObjective", "GridObjective", "Mix", "TaylorObjective"]
