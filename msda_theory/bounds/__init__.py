"""Bounds that the papers derive from the expansion: on the adversarial loss and on Rademacher complexity."""
