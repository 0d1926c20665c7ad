"""Carratino, Cissé, Jenatton, Vert: On Mixup Regularization, JMLR 2022, as summarised in slides; and their analysis."""
