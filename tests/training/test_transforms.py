"""`Mix`: the mean loss of its batches is the exact MSDA loss, and what it does with batches of every kind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import msda_theory as mt
from msda_theory.masks import MaskLaw
from msda_theory.training import Mix
from tests.helpers import inputs
from verify.tolerances import monte_carlo, rounding

SHAPE, CLASSES, RATIO = (3, 4), 3, mt.Beta(0.7, 2.0)
LAWS: dict[str, MaskLaw] = {
    "mixup": mt.masks.Mixup(SHAPE),
    "bernoulli": mt.masks.Bernoulli(SHAPE),
    "cutmix": mt.masks.CutMix(SHAPE, sampler="clip"),
    "hmix": mt.masks.HMix(SHAPE, r=0.6, sampler="inside"),
    "gmix": mt.masks.GMix(SHAPE, kernel="released"),
    "stochastic": mt.masks.Stochastic(SHAPE, q=0.4, sampler="inside"),
    "fmix": mt.masks.FMix((4, 5)),
}
every_law = pytest.mark.parametrize("name", LAWS)


def mix_of(name: str, seed: int = 0, label: str = "nominal", draws: str = "sample") -> Mix:
    augmentation = mt.Augmentation(RATIO, LAWS[name], label=label)
    return Mix(augmentation, CLASSES, draws=draws, generator=torch.Generator().manual_seed(seed))


def batch(name: str, n: int = 5) -> tuple[Tensor, Tensor]:
    return inputs(n, *LAWS[name].shape), torch.arange(n) % CLASSES


def knows_classes(x: Tensor) -> Tensor:
    """Thrice the first pixels, by which `marked` tells the class."""
    return 3 * x.flatten(1)[:, :CLASSES]


def marked(n: int) -> tuple[Tensor, Tensor]:
    x, y = inputs(n, *SHAPE), torch.arange(n) % CLASSES
    x.view(n, -1)[torch.arange(n), y] += 2
    return x, y


@pytest.mark.parametrize("draws", ["sample", "batch"])
@pytest.mark.parametrize("label", ["nominal", "realised"])
@pytest.mark.parametrize("name", [name for name in LAWS if name != "fmix"])
def test_mean_loss_of_the_batches_is_the_exact_loss(name: str, label: str, draws: str) -> None:
    """The partner may be oneself, with probability 1/n, as in eq. (4).  Labels left unmixed would be noticed."""
    (x, y), loss, count = marked(5), mt.losses.SoftmaxCrossEntropy(), 2000
    mix = mix_of(name, label=label, draws=draws)
    exact = mt.exact_loss(knows_classes, loss, x, y, mix.augmentation, rtol=1e-4)
    mixed, labels = (torch.cat(part) for part in zip(*(mix(x, y) for _ in range(count)), strict=True))
    means, wrong = (
        loss(knows_classes(mixed), rows).unflatten(0, (count, len(x))).mean(1)
        for rows in (labels, loss.prepare(y.repeat(count), knows_classes(mixed)))
    )
    allowed = monte_carlo(float(means.std()) / count**0.5, comparisons=24) + exact.error
    assert abs(float(means.mean()) - exact.value) <= allowed
    assert abs(float(wrong.mean()) - exact.value) > allowed


@every_law
def test_labels_are_conserved_and_pixels_stay_between(name: str) -> None:
    x, y = batch(name, 40)
    mixed, labels = mix_of(name)(x, y)
    assert mixed.shape == x.shape
    torch.testing.assert_close(labels.sum(1), torch.ones(40).double(), rtol=0, atol=rounding(torch.float64, 1.0, 4))
    assert bool((labels >= 0).all())
    low, high = x.amin(0), x.amax(0)
    slack = rounding(torch.float64, float(x.abs().max()), 4)
    assert bool(((mixed >= low - slack) & (mixed <= high + slack)).all())


@every_law
def test_what_it_returns_is_one_affine_map_of_its_pair(name: str) -> None:
    """Read from indicator images: M where the own one is, 1-M where the partner's is, nothing elsewhere."""
    shape, n = LAWS[name].shape, 12
    x = torch.zeros(n, n, *shape, dtype=torch.float64)
    x[torch.arange(n), torch.arange(n)] = 1
    y = torch.eye(n, dtype=torch.float64)
    mix = Mix(mt.Augmentation(RATIO, LAWS[name]), n, generator=torch.Generator().manual_seed(3))
    mixed, labels = mix(x, y)
    torch.testing.assert_close(mixed.sum(1), torch.ones(n, *shape).double())
    partners = set()
    for i in range(n):
        others = [j for j in range(n) if j != i and bool((mixed[i, j] != 0).any())]
        assert len(others) <= 1
        partners |= set(others)
        assert set(labels[i].nonzero().flatten().tolist()) <= {i, *others} or not others
    assert len(partners) >= 2


def test_realised_labels_are_the_mean_of_the_mask() -> None:
    x = torch.zeros(8, 8, *SHAPE, dtype=torch.float64)
    x[torch.arange(8), torch.arange(8)] = 1
    mixed, labels = Mix(mt.Augmentation(RATIO, LAWS["cutmix"], label="realised"), 8)(x, torch.arange(8))
    torch.testing.assert_close(labels, mixed.flatten(2).mean(2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtype_and_arguments_stay(dtype: torch.dtype) -> None:
    x = torch.rand(4, 3, *SHAPE).to(dtype)
    y = torch.tensor([0, 2, 1, 2], dtype=torch.uint8)
    kept = x.clone(), y.clone()
    mixed, labels = mix_of("hmix")(x, y)
    assert mixed.dtype == labels.dtype == dtype and labels.shape == (4, CLASSES)
    assert torch.equal(x, kept[0]) and torch.equal(y, kept[1])
    assert mixed.data_ptr() != x.data_ptr()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu() -> None:
    mixed, labels = mix_of("hmix")(torch.rand(4, 3, *SHAPE, device="cuda"), torch.arange(4, device="cuda") % 3)
    assert mixed.is_cuda and labels.is_cuda


def test_channels_share_a_mask() -> None:
    mixed, _ = mix_of("bernoulli")(inputs(6, 1, *SHAPE).expand(6, 3, *SHAPE), torch.arange(6) % CLASSES)
    assert torch.equal(mixed[:, 0], mixed[:, 1]) and torch.equal(mixed[:, 0], mixed[:, 2])


def test_the_generator_decides() -> None:
    x, y = batch("cutmix", 20)
    first, again, other = (mix_of("cutmix", seed)(x, y)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    mix = mix_of("cutmix", 1)
    assert not torch.equal(mix(x, y)[0], mix(x, y)[0])


def test_without_a_generator_torch_s_decides_and_numpy_s_stays() -> None:
    (x, y), mix = batch("cutmix", 20), Mix(mt.Augmentation(RATIO, LAWS["cutmix"]), CLASSES)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        first = mix(x, y)[0]
        torch.manual_seed(4)
        assert torch.equal(first, mix(x, y)[0])
    state = np.random.get_state()[1].copy()  # noqa: NPY002 - the global state is what is watched
    mix(x, y)
    assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002


def test_one_draw_a_batch() -> None:
    x = torch.eye(6, dtype=torch.float64).reshape(6, 6, 1, 1).expand(6, 6, *SHAPE)
    _, labels = Mix(mt.Augmentation(RATIO, LAWS["mixup"]), 6, draws="batch")(x, torch.arange(6))
    own = labels.diagonal()[labels.diagonal() < 1]
    assert len(own) >= 2 and bool((own == own[0]).all())
    _, labels = Mix(mt.Augmentation(RATIO, LAWS["mixup"]), 6)(x, torch.arange(6))
    own = labels.diagonal()[labels.diagonal() < 1]
    assert len(own.unique()) == len(own)


def test_soft_labels_are_mixed_as_rows() -> None:
    x, rows = inputs(6, *SHAPE), torch.sigmoid(inputs(6, CLASSES, seed=1))
    _, labels = mix_of("mixup")(x, rows)
    assert labels.shape == rows.shape and not torch.equal(labels, rows)
    slack = rounding(torch.float64, 1.0, 3)  # a product each, and their sum
    assert bool(((labels >= rows.amin(0) - slack) & (labels <= rows.amax(0) + slack)).all())


@pytest.mark.parametrize(
    "x, y, said",
    [
        (torch.zeros(4, *SHAPE, dtype=torch.uint8), torch.arange(4) % 3, "x has dtype torch.uint8"),
        (torch.zeros(4, 4, 3), torch.arange(4) % 3, r"mask mixes arrays of shape \(3, 4\)"),
        (torch.zeros(4, *SHAPE), torch.arange(4), "y runs from 0 to 3: needed are classes 0 to 2"),
        (torch.zeros(4, *SHAPE), torch.arange(4) - 1, "y runs from -1 to 2"),
        (torch.zeros(4, *SHAPE), torch.zeros(4), "integers"),
        (torch.zeros(4, *SHAPE), torch.zeros(4, 2), "rows"),
        (torch.zeros(4, *SHAPE), torch.zeros(3, dtype=torch.long), "one label a sample"),
        (torch.full((4, *SHAPE), torch.nan), torch.arange(4) % 3, "NaN"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused_before_anything_is_drawn(x: Tensor, y: Tensor, said: str) -> None:
    mix = mix_of("mixup")
    assert mix.generator is not None
    before = mix.generator.get_state()
    with pytest.raises((TypeError, ValueError), match=said):
        mix(x, y)
    assert torch.equal(before, mix.generator.get_state())


@pytest.mark.parametrize("bad", [{"classes": 0}, {"draws": "pair"}, {"generator": 3}, {"augmentation": "mixup"}])
def test_bad_settings_are_refused(bad: dict[str, object]) -> None:
    good: dict[str, object] = {"augmentation": mt.Augmentation(RATIO, LAWS["mixup"]), "classes": 3}
    with pytest.raises((TypeError, ValueError), match=next(iter(bad))):
        Mix(**good | bad)  # type: ignore[arg-type]
