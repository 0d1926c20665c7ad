"""The training loop of image classifiers: it learns, depends on nothing but its seed, and mixes what it is told to."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn

import msda_theory as mt
from verify import image_training
from verify.image_training import SCHEDULES, evaluate, train
from verify.problems import digits


@dataclass(frozen=True)
class Digits:
    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    classes: int = 10


def data() -> Digits:
    x, y = digits(400, seed=1)
    x = x.float().unsqueeze(1)
    return Digits(x[:200], y[:200], x[200:], y[200:])


def model() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Dropout(0.1), nn.ReLU(), nn.Linear(32, 10))


MIXUP = mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Mixup((8, 8)))


@pytest.mark.parametrize("augmentation", [None, MIXUP], ids=["none", "Mixup"])
def test_it_learns(augmentation: mt.Augmentation | None) -> None:
    network = model()
    found = train(network, data(), augmentation, epochs=30, seed=0)
    assert found.test.accuracy > 0.85
    assert found.losses[-1] < found.losses[0] and len(found.losses) == 30
    assert not network.training
    assert found.test == evaluate(network, data().test_x, data().test_y)
    assert (found.losses[-1] > 2 * found.train.loss) == (augmentation is not None), (
        "the loss descended is of mixed batches"
    )


def test_seeds_decide_and_torch_s_generator_stays() -> None:
    before = torch.get_rng_state()
    first, again, other = (train(model(), data(), MIXUP, epochs=2, seed=seed) for seed in (1, 1, 2))
    assert first == again and first != other
    assert torch.equal(before, torch.get_rng_state())


def test_a_transform_is_called_with_each_batch() -> None:
    seen: list[tuple[Tensor, Tensor]] = []

    def look(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        seen.append((x, y))
        return x, y

    found = train(model(), data(), look, epochs=2, seed=1, batch=64)
    assert [len(x) for x, _ in seen] == [64, 64, 64, 8] * 2
    assert found == train(model(), data(), None, epochs=2, seed=1, batch=64)
    order = torch.cat([x for x, _ in seen[:4]]).sum((1, 2, 3))
    torch.testing.assert_close(order.sort().values, data().train_x.sum((1, 2, 3)).sort().values)


def test_schedules() -> None:
    assert [round(SCHEDULES["step"](done), 3) for done in (0, 0.33, 0.34, 0.67, 0.99)] == [1, 1, 0.1, 0.01, 0.01]
    assert SCHEDULES["cosine"](0.0) == 1 and abs(SCHEDULES["cosine"](1.0)) < 1e-15
    assert SCHEDULES["constant"](0.5) == 1


def test_weight_decay_shrinks_the_weights() -> None:
    norms = []
    for decay in (0.0, 0.05):
        network = model()
        train(network, data(), None, epochs=5, weight_decay=decay)
        norms.append(sum(float(p.detach().square().sum()) for p in network.parameters()))
    assert norms[1] < 0.8 * norms[0]


def test_adam_s_first_step_is_the_step_size_against_the_gradient_s_sign() -> None:
    """m = g and v = g^2 without their bias: the step is lr g/(|g| + eps)."""
    found = data()
    found = replace(found, train_x=found.train_x.double(), test_x=found.test_x.double())
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).double()
    gradients = torch.autograd.grad(
        nn.functional.cross_entropy(network(found.train_x), found.train_y), list(network.parameters())
    )
    expected = [p.detach() - 0.01 * g / (g.abs() + 1e-8) for p, g in zip(network.parameters(), gradients, strict=True)]
    train(network, found, epochs=1, batch=200, lr=0.01, schedule="constant", optimiser="Adam")
    for p, value in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(p.detach(), value, rtol=1e-9, atol=1e-9)


def test_large_images_are_tested_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    network = model().eval()
    network.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    whole = evaluate(network, data().test_x, data().test_y)
    monkeypatch.setattr(image_training, "AT_ONCE", 64 * 80)
    parts = evaluate(network, data().test_x, data().test_y)
    assert seen == [200, 80, 80, 40]
    assert parts.accuracy == whole.accuracy and parts.loss == pytest.approx(whole.loss, rel=1e-6)


def test_a_divergence_is_told() -> None:
    with pytest.raises(FloatingPointError, match="diverged in epoch"):
        train(model(), data(), None, epochs=5, lr=1e20)


@pytest.mark.parametrize(
    "bad", [{"epochs": 0}, {"batch": 0}, {"lr": 0.0}, {"schedule": "linear"}, {"draws": "pair"}, {"optimiser": "adam"}]
)
def test_bad_settings_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        train(model(), data(), MIXUP, **{"epochs": 1} | bad)  # type: ignore[arg-type]
