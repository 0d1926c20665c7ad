"""Networks trained with an augmentation as one does."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from msda_theory import Augmentation, Beta
from msda_theory.bounds import require_homogeneous
from msda_theory.losses import Logistic
from msda_theory.masks import CutMix
from verify.mixed_training import NETWORKS, build, train_mixed, two_digits
from verify.problems import standard_objective

CUTMIX = Augmentation(Beta(1.0, 1.0), CutMix((8, 8), sampler="inside"))


def test_two_digits_are_of_two_classes_and_chosen_by_the_seed() -> None:
    x, y = two_digits((4, 9), 30, 0)
    assert x.shape == (30, 8, 8) and set(y.tolist()) == {0.0, 1.0}
    assert torch.equal(x, two_digits((4, 9), 30, 0)[0]) and not torch.equal(x, two_digits((4, 9), 30, 1)[0])
    assert torch.equal(y, 1 - two_digits((9, 4), 30, 0)[1])


def test_networks_differ_as_they_are_called() -> None:
    x, _ = two_digits((4, 9), 5, 0)
    linear, bare, biased = (build(name, 3) for name in NETWORKS)
    require_homogeneous(bare, x)
    for other in (linear, biased):
        with pytest.raises(ValueError, match="homogeneous"):
            require_homogeneous(other, x)
    assert [sum(isinstance(layer, nn.ReLU) for layer in model) for model in (linear, bare, biased)] == [0, 1, 1]


@pytest.mark.parametrize("augmentation", [None, CUTMIX], ids=["none", "cutmix"])
def test_training_lowers_the_loss_and_is_decided_by_the_seed(augmentation: Augmentation | None) -> None:
    x, y = two_digits((4, 9), 20, 0)
    models = [build("relu", 0) for _ in range(3)]
    before = standard_objective(Logistic(), x, y)(models[0]).item()
    for model, seed in zip(models, (0, 0, 1), strict=True):
        train_mixed(model, x, y, augmentation, steps=20, seed=seed)
    after = [standard_objective(Logistic(), x, y)(model).item() for model in models]
    assert after[0] < 0.8 * before
    assert after[0] == after[1] and (augmentation is None) == (after[0] == after[2])
