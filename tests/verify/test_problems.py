"""The data sets and networks on which the theory is tried."""

from __future__ import annotations

import pytest
import torch

from msda_theory.losses import Logistic, Poisson, SoftmaxCrossEntropy
from verify.problems import MODELS, digits, fit, loss_for, network, standard_objective, two_moons


def test_two_moons_and_digits_are_float64_seeded_and_not_centred() -> None:
    for make, shape in ((two_moons, (20, 2)), (digits, (20, 8, 8))):
        x, y = make(20, seed=3)
        again, _ = make(20, seed=3)
        other, _ = make(20, seed=4)
        assert x.shape == shape and x.dtype == torch.float64 and len(y) == 20
        assert torch.equal(x, again) and not torch.equal(x, other)
        assert x.mean(0).abs().max() > 0.1
    assert x.min() >= 0 and x.max() <= 1


def test_digits_that_were_changed_in_place_are_not_those_of_the_next_call() -> None:
    first = digits(5)
    kept = [part.clone() for part in first]
    for part in first:
        part.fill_(-1)
    assert all(torch.equal(a, b) for a, b in zip(digits(5), kept, strict=True))


@pytest.mark.parametrize("name", MODELS)
def test_networks_are_float64_and_reproducible(name: str) -> None:
    state = torch.get_rng_state()
    model, again, other = (network(name, (4, 3), 5, seed=s) for s in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    x = torch.ones(2, 4, 3, dtype=torch.float64)
    assert model(x).shape == (2, 5) and model(x).dtype == torch.float64
    assert torch.equal(model(x), again(x)) and not torch.equal(model(x), other(x))


def test_unknown_network_is_named() -> None:
    with pytest.raises(ValueError, match=r"model='mlp': needed is one of 'logistic', 'mlp-tanh', 'mlp-relu'"):
        network("mlp", (2,), 1)


def test_loss_for_labels() -> None:
    cases = [
        (torch.tensor([0.0, 1.0]), "auto", Logistic, 1),
        (torch.tensor([[0.0], [1.0]]), "auto", Logistic, 1),
        (torch.tensor([0, 0]), "auto", SoftmaxCrossEntropy, 2),
        (torch.tensor([0, 4]), "auto", SoftmaxCrossEntropy, 5),
        (torch.eye(3), "auto", SoftmaxCrossEntropy, 3),
        (torch.tensor([0, 4]), "poisson", Poisson, 1),
        (torch.eye(3), "logistic", Logistic, 3),
    ]
    for y, name, kind, outputs in cases:
        loss, width = loss_for(y, name)
        assert type(loss) is kind and width == outputs
    with pytest.raises(ValueError, match=r"y reaches 1e\+30: needed are class indices below 1000"):
        loss_for(torch.tensor([0.0, 1e30]), "softmax")


def test_fit_lowers_the_objective_and_decay_keeps_weights_small() -> None:
    x, y = two_moons(40)
    norms, losses = [], []
    for decay in (0.0, 0.1):
        model = network("mlp-tanh", (2,), 1)
        objective = standard_objective(Logistic(), x, y, weight_decay=decay)
        before = float(objective(model).detach())
        assert float(objective(fit(model, objective)).detach()) < before
        losses.append(float(standard_objective(Logistic(), x, y)(model).detach()))
        norms.append(sum(float(p.detach().square().sum()) for p in model.parameters()))
    assert norms[1] < norms[0] / 10 and losses[0] < losses[1] < 0.5
