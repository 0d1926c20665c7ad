"""The figures of mixed photographs."""

import numpy as np
import pytest
import torch

from figures import mask_examples, unbounded_masks
from figures.definition import Settings
from figures.photographs import as_text, from_text, photographs
from msda_theory.masks.displacement import mean_by_displacement
from tests.helpers import assert_close
from verify.tolerances import rounding

SHAPE = (85, 128)
#: an 8-bit level is off by half a step
HALF_STEP = 0.5 / 255 + 1e-12


@pytest.fixture(scope="module")
def unbounded():
    return unbounded_masks.compute(Settings(seed=3))


@pytest.fixture(scope="module")
def examples():
    return mask_examples.compute(Settings(seed=3))


def image(text, low=0.0, high=1.0):
    return low + (high - low) * (from_text(text) / 255)


def share_outside(values):
    """Of pixels, with one value or three, that have a value outside [0, 1]."""
    pixels = values.reshape(SHAPE[0] * SHAPE[1], -1).tolist()
    return sum(min(pixel) < 0 or max(pixel) > 1 for pixel in pixels) / len(pixels)


def test_photographs_are_of_one_size_and_not_square():
    first, second = photographs()
    assert first.shape == second.shape == (*SHAPE, 3)
    assert not np.allclose(first, second)
    for each in (first, second):
        assert each.min() >= 0
        assert each.max() <= 1


@pytest.mark.parametrize("low, high", [(0, 1), (-1, 2)])
def test_an_image_as_text_and_back(low, high):
    values = np.array([[[0.0, 1.0, 0.5]], [[-1.2, 2.3, 0.1]]])
    text = as_text(values, low, high)
    assert text["shape"] == [2, 1, 3]
    np.testing.assert_allclose(image(text, low, high), np.clip(values, low, high), atol=HALF_STEP * (high - low))


def test_mixup_with_any_ratio(unbounded):
    first, second = photographs()
    assert [panel["ratio"] for panel in unbounded["mixup"]] == [-0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75]
    for panel in unbounded["mixup"]:
        mixed = panel["ratio"] * first + (1 - panel["ratio"]) * second
        np.testing.assert_allclose(image(panel["image"]), mixed.clip(0, 1), atol=HALF_STEP)
        assert panel["clipped"] == share_outside(mixed)
        assert (panel["clipped"] > 0) == (panel["ratio"] < 0)


def test_gaussian_masks_leave_the_range(unbounded):
    first, second = photographs()
    for panel in unbounded["gaussian"]:
        mask = image(panel["mask"], unbounded_masks.LOW, unbounded_masks.HIGH)
        kept = (mask > unbounded_masks.LOW) & (mask < unbounded_masks.HIGH)
        mixed = mask[..., None] * first + (1 - mask[..., None]) * second
        steps = 3 * HALF_STEP + HALF_STEP  # a step of the mask is three times as wide
        np.testing.assert_allclose(image(panel["image"])[kept], mixed.clip(0, 1)[kept], atol=steps)
        assert 0 < panel["clipped"] < 1
        assert abs(panel["outside"] - share_outside(mask)) < 0.02, "but for masks within a step of 0 or 1"


def test_the_gaussian_second_moment_is_the_one_that_is_written_down(unbounded):
    shape, ratio = (5, 7), 0.3
    found = mean_by_displacement(unbounded_masks.near_and_far(shape, ratio), shape)
    x, y = torch.arange(-4.0, 5.0).double(), torch.arange(-6.0, 7.0).double()
    bell = torch.exp(-(x.square().unsqueeze(-1) + y.square()) / (2 * 16**2))
    assert unbounded["second moment"] == "(1-lambda)^2 + lambda (1-lambda) exp(-||j-k||^2 / (2 16^2))"
    assert_close(found, (1 - ratio) ** 2 + ratio * (1 - ratio) * bell, rounding(torch.float64, 1.0, 64), "A")


def test_examples_are_draws_of_the_laws(examples):
    first, second = photographs()
    laws = mask_examples.mask_laws(SHAPE)
    assert [panel["title"] for panel in examples["panels"]] == list(laws)
    for panel, law in zip(examples["panels"], laws.values(), strict=True):
        mask = image(panel["mask"])
        assert panel["law"] == repr(law)
        assert abs(mask.mean() - panel["mean of the mask"]) <= HALF_STEP
        assert panel["expected mean"] == float(law.mean(mask_examples.RATIO).mean())
        mixed = mask[..., None] * first + (1 - mask[..., None]) * second
        np.testing.assert_allclose(image(panel["image"]), mixed, atol=2 * HALF_STEP)


@pytest.mark.parametrize("module", [mask_examples, unbounded_masks])
def test_draws_are_those_of_the_seed(module):
    first, again, other = (module.compute(Settings(seed=seed)) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_unbounded_picture_shows_every_image_with_a_title(unbounded):
    picture = unbounded_masks.draw(unbounded)
    texts = [*(panel["image"] for panel in unbounded["mixup"]), unbounded["first"]]
    texts += [panel[part] for panel in unbounded["gaussian"] for part in ("mask", "image")]
    for ax, text in zip(picture.axes, texts, strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), from_text(text))
        assert ax.get_title()
    mask = picture.axes[8].images[0]
    assert [float(mask.norm(255 * (value + 1) / 3)) for value in (0, 0.5, 1)] == pytest.approx([0, 0.5, 1])


def test_picture_of_examples_shows_every_image_and_mask(examples):
    picture = mask_examples.draw(examples)
    top, bottom = picture.axes[:7], picture.axes[9:14]
    texts = [*examples["originals"], *(panel["image"] for panel in examples["panels"])]
    for ax, text in zip(top, texts, strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), from_text(text))
    for ax, panel in zip(bottom, examples["panels"], strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), from_text(panel["mask"]))
        assert ax.images[0].get_clim() == (0, 255)
        assert f"{panel['mean of the mask']:.3f}" in ax.get_title()
