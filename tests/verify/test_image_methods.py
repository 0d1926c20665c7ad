"""Crops, standardised pixels and MixupE's loss of a batch, against the same worked out one by one."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from msda_theory import Beta
from msda_theory.losses import SoftmaxCrossEntropy
from msda_theory.mixupe import mixupe_penalty
from verify.image_benches import Bench, run
from verify.image_methods import CropsAndFlips, FirstOrderPenalty, Standardised, method
from verify.image_training import SCHEDULES

RATIO = Beta(1.0, 1.0)
X = torch.rand(40, 2, 6, 5, generator=torch.Generator().manual_seed(0))
Y = torch.arange(40) % 3


def model():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(nn.Flatten(), nn.Linear(60, 8), nn.ReLU(), nn.Linear(8, 3))


def shifted(image, down, right, reach):
    padded = nn.functional.pad(image, [reach] * 4)
    h, w = image.shape[-2:]
    return padded[:, down : down + h, right : right + w]


@pytest.mark.parametrize("flips", [False, True])
def test_each_image_is_one_of_its_crops_and_every_crop_occurs(flips):
    reach, seen = 1, set()
    torch.manual_seed(0)
    for _ in range(8):
        moved, y = CropsAndFlips(reach, flips)(X, Y)
        assert y is Y and moved.shape == X.shape
        for image, result in zip(X, moved, strict=True):
            ways = {
                (down, right, mirrored)
                for down in range(3)
                for right in range(3)
                for mirrored in range(1 + flips)
                if torch.equal(result, (lambda c, m: c.flip(-1) if m else c)(shifted(image, down, right, 1), mirrored))
            }
            assert len(ways) == 1
            seen |= ways
    assert len(seen) == 9 * (1 + flips)


def test_standardised_pixels_have_mean_0_and_variance_1_and_a_constant_channel_is_no_hindrance():
    x = torch.cat([X, torch.full((40, 1, 6, 5), 0.3)], 1)
    seen = Standardised(nn.Identity(), x)(x)
    variance, mean = torch.var_mean(seen, (0, 2, 3))
    torch.testing.assert_close(mean, torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(variance, torch.tensor([1.0, 1.0, 0.0]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("mixed", [False, True])
def test_mixup_e_is_scaled_to_the_loss_and_has_the_gradient_of_the_sum(mixed):
    network, eta = model(), 0.5
    chosen = method(RATIO, (6, 5), 3, mixed=mixed, eta=eta)
    torch.manual_seed(3)
    loss = chosen.objective(network, X, Y, chosen.transform)
    found = torch.autograd.grad(loss, list(network.parameters()))
    torch.manual_seed(3)
    x, y = chosen.transform(X, Y) if mixed else (X, Y)
    original = cross_entropy(network(x), y)
    total = original + eta * mixupe_penalty(network, SoftmaxCrossEntropy(), X, Y, RATIO, approximate=True)
    wanted = torch.autograd.grad(total, list(network.parameters()))
    torch.testing.assert_close(loss, original)
    for mine, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(mine, theirs * (original / total).detach())


def test_crops_come_before_the_mixing_and_before_the_penalty():
    calls = []

    def augment(x, y):
        calls.append(x)
        return x + 1, y

    for eta in (None, 0.1):
        chosen = method(RATIO, (6, 5), 3, mixed=True, eta=eta, augment=augment)
        seen = []

        def watched(x, seen=seen):
            seen.append(x)
            return model()(x)

        chosen.objective(watched, X, Y, chosen.transform)
        assert all(bool((x >= 1).all()) for x in seen)
        assert len(seen) == 1 + (eta is not None)
    assert len(calls) == 2


def test_no_method_is_no_transform():
    chosen = method(RATIO, (6, 5), 3, mixed=False)
    assert chosen.transform is None
    assert not isinstance(chosen.objective, FirstOrderPenalty)


BENCH = Bench("digits", "small convnet", 2, limit=60, flips=False)


def test_runs_of_a_seed_share_start_and_images_and_their_methods_differ():
    erm, mixup, again = (run(BENCH, RATIO, 4, mixed=mixed, looks=(0, 1)) for mixed in (False, True, True))
    assert erm.epochs == (0, 1, 2)
    assert erm.train[0] == mixup.train[0] and erm.train[2] != mixup.train[2]
    assert mixup.test == again.test
    assert torch.equal(erm.data.train_x, mixup.data.train_x) and len(erm.data.train_x) == 60
    other = run(BENCH, RATIO, 5, mixed=False)
    assert other.epochs == (2,) and not torch.equal(other.data.train_x, erm.data.train_x)


def test_the_penalty_and_the_crops_change_a_run():
    scores = [run(BENCH, RATIO, 0, mixed=True, **extra).test for extra in ({}, {"eta": 1.0}, {"augmented": True})]
    assert len(set(scores)) == 3


def test_a_bench_is_scaled_and_keeps_an_epoch_and_some_images():
    small, half = BENCH.scaled(0.01, 0.01), Bench("digits", "small convnet", 200).scaled(0.5, 0.5)
    assert (small.epochs, small.limit, half.epochs, half.limit) == (1, 20, 100, None)


def test_with_eta_0_only_the_running_statistics_of_batch_norm_change():
    found = []
    for eta in (None, 0.0):
        trained = run(BENCH, RATIO, 1, mixed=True, eta=eta)
        found.append(dict(trained.model.named_parameters()) | dict(trained.model.named_buffers()))
    differs = {name for name in found[0] if not torch.equal(found[0][name], found[1][name])}
    assert differs == {name for name in found[0] if "running" in name or "batches" in name}


def test_the_step_of_mixup_e_falls_at_a_half_and_at_three_quarters():
    assert [SCHEDULES["halves"](done) for done in (0, 0.49, 0.5, 0.74, 0.75, 1)] == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01, 0.01]
    )
