"""Networks side by side, and their cosines along training."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from msda_theory import Augmentation, Beta
from msda_theory.derivatives import jacobian
from msda_theory.masks import CutMix, Mixup
from verify.cosine_training import HIDDEN, SIZE, digit_pair, gaussian_points, record_times, train
from verify.ensembles import Networks
from verify.tolerances import rounding

TWO = (4, 5)  # seeds
MIXUP = Augmentation(Beta(1.0, 1.0), Mixup((SIZE,)))
TINY = {"epochs": 3, "records": 3, "batch": 40}


def alone(networks: Networks, k: int) -> nn.Sequential:
    """The k-th network as a module of its own."""
    layers: list[nn.Module] = []
    for weight, *bias in networks.layers:
        layer = nn.Linear(*weight.shape[1:], bias=bool(bias), dtype=torch.float64)
        layer.weight.data = weight[k].detach().T
        if bias:
            layer.bias.data = bias[0][k, 0].detach()
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("hidden", [(), HIDDEN])
def test_each_network_is_that_of_its_seed_and_measured_as_if_alone(hidden, biases):
    networks = Networks(SIZE, hidden, biases, TWO)
    x = torch.stack([gaussian_points(seed)[0] for seed in TWO])
    moment = networks.measure(x)
    widths = (SIZE, *hidden, 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(TWO[1])
        first = nn.Linear(*widths[:2], bias=biases, dtype=torch.float64)
    assert torch.equal(networks.layers[0][0][1], first.weight.T)
    for k in range(len(TWO)):
        model = alone(networks, k)
        torch.testing.assert_close(moment.output[k], model(x[k]).squeeze(1))
        torch.testing.assert_close(moment.gradient[k], jacobian(model, x[k]).squeeze(1))


def test_without_biases_the_cosine_is_the_output_over_both_lengths():
    """f = grad f . x; rounding in units of what f would be if no term cancelled another."""
    networks = Networks(SIZE, HIDDEN, False, TWO)
    x = torch.stack([gaussian_points(seed)[0] for seed in TWO])
    moment = networks.measure(x)
    lengths = moment.gradient.norm(dim=2) * x.norm(dim=2)
    terms = x.abs()
    for (weight,) in networks.layers:
        terms = terms @ weight.detach().abs()
    allowed = rounding(torch.float64, 1.0, 2 * (SIZE + 50 + 50)) * terms.squeeze(2) / lengths
    assert ((moment.cosines(x) - moment.output / lengths).abs() < allowed).all()


def test_a_linear_model_takes_the_step_of_gradient_descent_with_momentum():
    runs = train(gaussian_points, (), TWO, batch=100, epochs=2)
    for k, seed in enumerate(TWO):
        start = int(np.random.SeedSequence(seed).generate_state(3)[1])
        theta = Networks(SIZE, (), False, [start]).layers[0][0].detach().reshape(-1)
        velocity = torch.zeros_like(theta)
        for _ in range(2):
            slope = ((torch.sigmoid(runs.x[k] @ theta) - runs.y[k]).unsqueeze(1) * runs.x[k]).mean(0)
            velocity = 0.9 * velocity + slope
            theta = theta - 0.1 * velocity
        torch.testing.assert_close(runs.end.gradient[k], theta.expand(100, SIZE))


@pytest.mark.parametrize("augmentation", [None, MIXUP])
def test_a_run_is_the_same_whatever_runs_beside_it(augmentation):
    both, second = (
        train(gaussian_points, HIDDEN, seeds, augmentation=augmentation, **TINY) for seeds in (TWO, TWO[1:])
    )
    torch.testing.assert_close(both.cosines[:, 1:], second.cosines)
    assert torch.equal(both.x[1:], second.x)
    assert not torch.equal(both.x[0], both.x[1])


def test_what_is_recorded_and_when_accuracy_reaches_100():
    runs = train(gaussian_points, HIDDEN, TWO, epochs=30, records=200)
    assert runs.epochs == tuple(range(31))
    right = runs.accuracy == 1
    for k in range(len(TWO)):
        epoch = int(runs.reached[k])
        assert right[epoch:, k].all()
        assert not right[epoch - 1, k]
        at = runs.separated.cosines(runs.x)[k]
        assert torch.equal(at, runs.cosines[epoch, k])
        wrong = round(100 * (1 - float(runs.accuracy[epoch - 1, k])))
        assert int(runs.last_right[k].sum()) == wrong
    assert torch.equal(runs.end.cosines(runs.x), runs.cosines[-1])
    assert (runs.loss[-1] < runs.loss[0]).all()


def test_accuracy_that_is_not_kept_counts_as_not_reached():
    runs = train(gaussian_points, (), TWO, epochs=1)
    assert (runs.accuracy[-1] < 1).all()
    assert runs.reached.tolist() == [-1, -1]


def test_masks_of_images_are_mixed_in():
    cutmix = Augmentation(Beta(1.0, 1.0), CutMix((8, 8), sampler="inside"))
    data = partial(digit_pair, 3, 8)
    runs = train(data, (), TWO, augmentation=cutmix, **TINY)
    plain = train(data, (), TWO, **TINY)
    assert runs.x.shape == (2, 100, 64)
    assert runs.y.unique().tolist() == [0, 1]
    assert not torch.allclose(runs.cosines[-1], plain.cosines[-1])


def test_divergence_is_told():
    def huge(seed):
        x, y = gaussian_points(seed)
        return x * 1e200, y

    with pytest.raises(FloatingPointError, match="diverged by epoch"):
        train(huge, HIDDEN, TWO, **TINY)


@pytest.mark.parametrize("name", ["batch", "epochs", "records"])
def test_refuses_nothing_to_do(name):
    with pytest.raises(ValueError, match=f"{name}=0"):
        train(gaussian_points, (), TWO, **{**TINY, name: 0})


def test_records_start_at_0_and_1_and_end_at_the_last():
    times = record_times(100, 10)
    assert times[:2] == (0, 1)
    assert times[-1] == 100
