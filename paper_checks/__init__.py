"""The papers' claims, each with a verdict that is computed, its evidence, and a planted fault that its check catches."""
