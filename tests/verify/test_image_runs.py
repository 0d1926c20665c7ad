"""The methods compared, crops, harder test images, and products of gradients by displacement."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from msda_theory.masks.displacement import mean_by_displacement
from verify.corruptions import CORRUPTIONS, corrupted, fgsm, occluded
from verify.gradient_products import alignment, compared_displacements, products, scaled, score_gradients
from verify.image_runs import METHODS, Recipe, augmentation, images, random_crops, trained

SMALL = Recipe(data="digits", samples=40, epochs=1)


def test_methods_are_those_named() -> None:
    made = {name: augmentation(name, (8, 8)) for name in METHODS}
    assert made["none"] is None
    assert [type(m.mask).__name__ for m in made.values() if m] == [n if n != "none" else "" for n in METHODS][1:]
    assert repr(augmentation("HMix", (8, 8), alpha=2.0, r=0.25)).count("2.0") == 2
    with pytest.raises(ValueError, match="method='Cutout'"):
        augmentation("Cutout", (8, 8))


def test_runs_share_images_and_initialisation_and_differ_in_the_method() -> None:
    none, mixed = trained(SMALL, "none", 0), trained(SMALL, "Mixup", 0)
    assert none is trained(SMALL, "none", 0) and none.data is mixed.data
    assert none.scores != mixed.scores
    assert len(none.data.train_x) == 40 and len(none.data.test_x) == 1757
    assert not none.model.training


def test_textures_are_not_tested_on_what_overlaps_the_training_patches() -> None:
    whole = images(Recipe(data="textures", side=16), 0)
    some = images(Recipe(data="textures", side=16, samples=30), 0)
    assert len(some.train_x) == 30 and len(some.test_x) == len(whole.test_x)
    assert whole.train_x.shape[-2:] == (16, 16)


def test_crops_have_their_size_and_lie_inside() -> None:
    """Of an image whose red is the row and whose green is the column, in [0, 1]."""
    steps = (torch.arange(32) + 0.5) / 32
    x = torch.stack([steps[:, None].expand(32, 32), steps.expand(32, 32), torch.zeros(32, 32)]).expand(200, 3, 32, 32)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        cut = random_crops(x, (0.25, 0.36), 16)
    assert cut.shape == (200, 3, 16, 16)
    for channel, axis in ((0, 1), (1, 2)):
        along = cut[:, channel].mean(3 - axis)
        length = (along[:, -1] - along[:, 0]) * 16 / 15
        assert float(length.min()) > 0.45 and float(length.max()) < 0.65, "sides between 1/2 and 0.6"
        assert float(length.min()) < 0.52 and float(length.max()) > 0.58
        assert float(along.min()) < 0.05 and float(along.max()) > 0.95, "anywhere in the image"


def test_cropped_training_runs_and_tests_on_whole_images() -> None:
    run = trained(Recipe(data="textures", side=16, samples=30, epochs=1, crop=(0.25, 0.4)), "CutMix", 0)
    assert run.model(run.data.test_x[:2]).shape == (2, 10)
    assert run.data.test_x.shape[-1] == 32


def test_occlusion_and_corruptions() -> None:
    x, generator = torch.rand(2, 3, 8, 8), torch.Generator().manual_seed(0)
    hidden = occluded(x)
    assert float(hidden[..., 2:6, 2:6].abs().max()) == 0
    assert float((hidden - x).abs().sum()) == pytest.approx(float(x[..., 2:6, 2:6].sum()), rel=1e-6)
    for kind in CORRUPTIONS:
        worse = corrupted(x, kind, generator)
        assert worse.shape == x.shape and float(worse.min()) >= 0 and float(worse.max()) <= 1
        assert not torch.allclose(worse, x)
    blurred = corrupted(x, "blur", generator)
    torch.testing.assert_close(blurred[0, 0, 3, 4], x[0, 0, 2:5, 3:6].mean())
    flat = corrupted(x, "contrast", generator)
    torch.testing.assert_close(flat.mean((1, 2, 3)), x.mean((1, 2, 3)))
    torch.testing.assert_close(flat.std((1, 2, 3)), 0.4 * x.std((1, 2, 3)))
    with pytest.raises(ValueError, match="kind='fog'"):
        corrupted(x, "fog", generator)


def test_fgsm_raises_the_loss_of_a_linear_model_as_it_should() -> None:
    torch.manual_seed(0)
    model, x, y = (
        nn.Sequential(nn.Flatten(), nn.Linear(12, 2)),
        torch.rand(5, 1, 3, 4) * 0.5 + 0.25,
        torch.arange(5) % 2,
    )
    moved = fgsm(model, x, y, 0.1) - x
    torch.testing.assert_close(moved.abs(), torch.full_like(x, 0.1))
    weight = model[1].weight
    toward = (weight[1 - y] - weight[y]).reshape(5, 1, 3, 4).sign()
    torch.testing.assert_close(moved.sign(), toward)


def test_products_against_a_loop() -> None:
    g = torch.rand(2, 3, 3, 4).double()
    found = products(g)
    assert found.shape == (2, 5, 7)
    for down in range(-2, 3):
        for right in range(-3, 4):
            best = torch.zeros(2).double()
            for row in range(3):
                for column in range(4):
                    if 0 <= row + down < 3 and 0 <= column + right < 4:
                        pair = g[:, :, row, column] * g[:, :, row + down, column + right]
                        best = torch.maximum(best, pair.amax(1))
            assert torch.equal(found[:, 2 + down, 3 + right], best)
    assert torch.equal(found, found.flip(1, 2))
    assert bool((found <= found[:, 2:3, 3:4]).all()), "|ab| <= max(a^2, b^2)"


def test_gradients_of_the_own_score_sum_to_one() -> None:
    torch.manual_seed(0)
    model, x, y = nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), torch.rand(4, 1, 3, 4), torch.tensor([0, 2, 1, 2])
    found = score_gradients(model, x, y, batch=3)
    weight = model[1].weight.detach().abs()
    torch.testing.assert_close(found.flatten(1), weight[y] / weight[y].sum(1, keepdim=True))
    assert torch.equal(scaled(torch.zeros(1, 2, 2)), torch.zeros(1, 2, 2))


def test_alignment_is_a_rank_correlation_over_half_of_the_displacements() -> None:
    kept = compared_displacements((8, 8))
    both = kept | kept.flip(0, 1)
    assert int(both.sum()) == 2 * int(kept.sum()) - 1, "p and -p once"
    assert bool(both[7, 13]) and not bool(both[7, 14]), "at six columns two of eight are left, at seven one"
    made = augmentation("CutMix", (8, 8))
    assert made is not None
    coefficient = mean_by_displacement(made.seen_second_moment(), (8, 8))
    assert alignment(coefficient.exp(), coefficient) > 0.99
    assert alignment(-coefficient, coefficient) < -0.99
    noise = torch.from_numpy(np.random.default_rng(0).normal(size=(15, 15)))
    assert abs(alignment(noise, coefficient)) < 0.4
