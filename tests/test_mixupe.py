"""MixupE's terms by other means, its penalty and its objective: values, gradients, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import pytest
import torch
from flint import fmpq
from torch import Tensor, nn

import msda_theory as mt
from msda_theory import mixupe
from msda_theory.losses import Loss
from msda_theory.training import ExactObjective
from paper_checks.mixupe2023.regulariser import listing_1
from tests.helpers import LOSSES, TanhNetwork, assert_close, inputs, labels
from verify import mixupe_training
from verify.tiny_relu import tiny_relu
from verify.tolerances import difference_quotient, rounding

X, LOSS = inputs(5, 2, 3), mt.losses.SoftmaxCrossEntropy()
Y = labels(LOSS, 5, 3)
RATIO = mt.Beta(0.3, 2.0)
MIXUP = mt.Augmentation(RATIO, mt.masks.Mixup((2, 3)))
SMALL = rounding(torch.float64, 10.0, 200)
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=repr)


def relu(*, bias: bool) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(6, 8, bias=bias), nn.ReLU(), nn.Linear(8, 3, bias=bias)).double()


@every_loss
def test_first_order_terms_are_slopes_towards_the_mean(loss: Loss) -> None:
    model, y = TanhNetwork((2, 3), 2), labels(loss, 5, 2)
    found = mixupe.first_order_terms(model, loss, X, y)

    def slope(step: float) -> Tensor:
        move = step * (X.mean(0) - X)
        with torch.no_grad():
            return (loss(model(X + move), y) - loss(model(X - move), y)) / (2 * step)

    fine, coarse = slope(1e-4), slope(2e-4)
    assert_close(found, fine, difference_quotient(fine, coarse, 1e-4, 50.0))


@every_loss
def test_their_mean_is_the_first_term_of_the_expansion(loss: Loss) -> None:
    model, y = TanhNetwork((2, 3), 2), labels(loss, 5, 2)
    mean = 2 * RATIO.moment(1, 1) * mixupe.first_order_terms(model, loss, X, y).mean()
    assert_close(mean, mt.taylor_loss(model, loss, X, y, MIXUP).r1, SMALL)
    assert_close(mean, mt.directional_loss(model, loss, X, y, RATIO, 1).terms[0], SMALL)


def test_the_approximation_needs_centred_data_and_no_biases() -> None:
    centred = X - X.mean(0)
    for bias, x in ((False, centred), (True, centred), (False, X)):
        model = relu(bias=bias)
        exact, near = (g(model, LOSS, x, Y) for g in (mixupe.first_order_terms, mixupe.approximate_first_order_terms))
        gap = float((exact - near).detach().abs().max())
        assert (gap <= SMALL) is (not bias and x is centred), f"bias={bias}: {gap:.2g}"


@every_loss
def test_parts_give_the_terms_back(loss: Loss) -> None:
    model, y = TanhNetwork((2, 3), 2), labels(loss, 5, 2)
    parts = mixupe.slope_parts(model, loss, X, y)
    rebuilt = (parts.alpha * parts.slopes).sum(1) * parts.distances
    assert_close(rebuilt, mixupe.first_order_terms(model, loss, X, y), SMALL)
    residual = loss.h1(model(X)) - y
    assert bool((parts.alpha.abs() <= residual.abs() * (1 + 1e-12)).all())


def test_parts_one_by_one() -> None:
    """Lengths and cosines of gradients that autograd gives, a sample and an output at a time."""
    model, parts = TanhNetwork((2, 3), 3), mixupe.slope_parts(TanhNetwork((2, 3), 3), LOSS, X, Y)
    rows = [torch.autograd.functional.jacobian(lambda z: model(z.unsqueeze(0))[0], row) for row in X]
    gradients, away = torch.stack(rows).flatten(2), (X.mean(0) - X).flatten(1)
    assert_close(parts.slopes, gradients.square().sum(2).sqrt(), SMALL)
    assert_close(parts.distances, away.square().sum(1).sqrt(), SMALL)
    cosines = torch.nn.functional.cosine_similarity(gradients, away.unsqueeze(1), dim=2)
    f = model(X)
    assert_close(parts.alpha, (LOSS.h1(f) - LOSS.prepare(Y, f)) * cosines, SMALL)


def test_parts_where_a_slope_or_a_distance_is_zero() -> None:
    """An output that does not depend on x, and a sample at the mean: alpha is 0, not NaN."""
    x = torch.tensor([[1.0, 1.0], [-1.0, 1.0], [0.0, 1.0]]).double()
    parts = mixupe.slope_parts(lambda z: torch.stack([z[:, 0], 0 * z[:, 1] + 2], 1), LOSS, x, torch.tensor([0, 1, 0]))
    assert bool((parts.alpha[:, 1] == 0).all())
    assert bool((parts.alpha[2] == 0).all())
    assert bool((parts.alpha[:2, 0] != 0).all())


@pytest.mark.parametrize("approximate", [False, True])
def test_penalty(approximate: bool) -> None:
    model = TanhNetwork((2, 3), 3)
    terms = (mixupe.approximate_first_order_terms if approximate else mixupe.first_order_terms)(model, LOSS, X, Y)
    share = RATIO.tilted().moment(0, 1)
    asked = {"approximate": True} if approximate else {}  # the exact terms unless told
    found = mixupe.mixupe_penalty(model, LOSS, X, Y, RATIO, **asked)
    assert_close(found, share * terms.abs().mean(), SMALL)
    assert found.shape == ()


@pytest.mark.parametrize("approximate", [False, True])
@every_loss
def test_objective_has_the_size_of_the_loss_and_kappa_times_its_gradient(loss: Loss, approximate: bool) -> None:
    model, y = TanhNetwork((2, 3), 2), labels(loss, 5, 2)
    base, eta = ExactObjective(loss, X, y, MIXUP), 0.7
    asked = {"approximate": True} if approximate else {}  # the exact terms unless told
    found = mixupe.MixupEObjective(base, loss, X, y, RATIO, eta=eta, **asked)(model)
    whole = base(model) + eta * mixupe.mixupe_penalty(model, loss, X, y, RATIO, approximate=approximate)
    kappa = float((base(model) / whole).detach())
    assert_close(abs(found), abs(base(model)), SMALL)
    gradients, expected = (torch.autograd.grad(v, list(model.parameters())) for v in (found, whole))
    for gradient, stated in zip(gradients, expected, strict=True):
        assert_close(gradient, abs(kappa) * stated, 10 * SMALL)


def test_gradient_of_the_penalty_by_differences() -> None:
    """Through the derivative of the network, in every parameter."""
    model = TanhNetwork((2, 3), 3)

    def value() -> Tensor:
        return mixupe.mixupe_penalty(model, LOSS, X, Y, RATIO)

    gradients = torch.autograd.grad(value(), list(model.parameters()))
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        entries = parameter.data.view(-1)
        for index in range(parameter.numel()):
            fine, coarse = (_difference(value, entries, index, step) for step in (1e-4, 2e-4))
            assert_close(gradient.view(-1)[index], fine, difference_quotient(fine, coarse, 1e-4, 50.0))


def _difference(value: Callable[[], Tensor], entries: Tensor, index: int, step: float) -> float:
    before, found = entries[index].clone(), []
    for shift in (step, -step):
        entries[index] = before + shift
        found.append(float(value().detach()))
    entries[index] = before
    return (found[0] - found[1]) / (2 * step)


def test_a_negative_loss_keeps_its_size() -> None:
    negative, added = torch.tensor(-1.0, requires_grad=True), torch.tensor(3.0)
    assert float(mixupe.rescaled(negative, added)) == 1.0
    assert float(mixupe.rescaled(negative, torch.tensor(0.5))) == -1.0


def test_where_all_is_zero_nothing_is_divided() -> None:
    zero = torch.tensor(0.0, requires_grad=True)
    value = mixupe.rescaled(zero, 0 * zero)
    value.backward()
    assert float(value) == 0.0
    assert float(zero.grad) == 1.0


def test_single_precision() -> None:
    model = TanhNetwork((2, 3), 3).float()
    objective = mixupe.MixupEObjective(
        ExactObjective(LOSS, X.float(), Y.float(), MIXUP), LOSS, X.float(), Y.float(), RATIO, eta=0.1
    )
    assert objective(model).dtype == torch.float32


# -- training as in Listing 1


def test_the_batch_loss_is_the_listing() -> None:
    data = mixupe_training.split_digits(0)
    model = mixupe_training.build("mlp-relu", 1)
    batch = next(mixupe_training.batches(data, np.random.default_rng(0)))
    found = mixupe_training.objective("MixupE", model, batch)
    stated = listing_1(model, batch.x1, batch.y1, batch.x2, batch.y2, batch.ratio, 1.0, mixupe_training.ETA)
    assert_close(found, stated, SMALL)
    assert_close(data.x.mean(0), torch.zeros(8, 8), 1e-12)


def test_a_training_is_deterministic_and_the_methods_start_alike() -> None:
    runs = [
        mixupe_training.train(method, "mlp-relu", 3, mixupe_training.losses, iterations=6, records=3)
        for method in ("Mixup", "Mixup", "ERM", "MixupE")
    ]
    assert runs[0] == runs[1]
    assert runs[0].iterations == (0, 1, 2, 3, 6)
    starts = {run.curves["train_loss"][0] for run in runs}
    assert len(starts) == 1
    assert len({run.curves["train_loss"][-1] for run in runs}) == 3


def test_record_times() -> None:
    assert mixupe_training.record_times(1, 4) == (0, 1)
    times = mixupe_training.record_times(250, 40)
    assert (times[0], times[1], times[-1]) == (0, 1, 250)


def test_the_rational_network_against_torch() -> None:
    """Its value, its Jacobian, and the constant of its linear piece."""
    net = tiny_relu(biases=True)
    W, b, V, c = (as_floats(rows) for rows in (net.W, [net.b], net.V, [net.c]))

    def same(z: Tensor) -> Tensor:
        return V @ torch.relu(W @ z + b[0]) + c[0]

    for point in ([fmpq(1, 2), fmpq(1, 3)], [fmpq(-2), fmpq(1)]):
        z = as_floats([point])[0]
        jacobian = torch.autograd.functional.jacobian(same, z)
        assert_close(as_floats([net(point)])[0], same(z), 1e-14)
        assert_close(as_floats(net.jacobian(point)), jacobian, 1e-14)
        assert_close(as_floats([net.constant(point)])[0], same(z) - jacobian @ z, 1e-14)


def as_floats(rows: Sequence[Sequence[fmpq]]) -> Tensor:
    return torch.tensor([[float(Fraction(str(v))) for v in row] for row in rows], dtype=torch.float64)


# -- errors


class MustNotRun(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise AssertionError("the model was called")


ENTRIES: dict[str, Callable[..., object]] = {
    "first_order_terms": mixupe.first_order_terms,
    "approximate_first_order_terms": mixupe.approximate_first_order_terms,
    "slope_parts": mixupe.slope_parts,
    "mixupe_penalty": lambda *given: mixupe.mixupe_penalty(*given, RATIO),
}
BAD = [
    ((LOSS, X[:1], Y[:1]), ValueError, "x holds 1 sample"),
    ((LOSS, X, Y[:2]), ValueError, "x holds 5 samples and y has shape"),
    ((LOSS, X.long(), Y), TypeError, "x has dtype torch.int64"),
    ((0.5, X, Y), TypeError, "loss is 0.5: needed is a Loss"),
]


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize(("given", "error", "said"), BAD, ids=[said for _, _, said in BAD])
def test_bad_data_before_any_work(entry: str, given: tuple[object, ...], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        ENTRIES[entry](MustNotRun(), *given)


@pytest.mark.parametrize("entry", ENTRIES)
def test_dropout_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="Dropout '0' is in train mode"):
        ENTRIES[entry](nn.Sequential(nn.Dropout(), nn.Linear(3, 3)), LOSS, X, Y)


@pytest.mark.parametrize("eta", [0, -1.0, float("nan"), float("inf")])
def test_eta_that_is_none(eta: float) -> None:
    with pytest.raises(ValueError, match=r"eta=.*: needed is a finite number > 0"):
        mixupe.MixupEObjective(lambda model: X.sum(), LOSS, X, Y, RATIO, eta=eta)


def test_what_else_an_objective_refuses() -> None:
    with pytest.raises(TypeError, match="objective is a float: needed is a function of the model, the loss L"):
        mixupe.MixupEObjective(0.5, LOSS, X, Y, RATIO, eta=0.1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"ratio is 1\.0: needed is a RatioLaw"):
        mixupe.MixupEObjective(lambda model: X.sum(), LOSS, X, Y, 1.0, eta=0.1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="x has 1 entry that is NaN"):
        bad = X.clone()
        bad[0, 0, 0] = float("nan")
        mixupe.MixupEObjective(lambda model: X.sum(), LOSS, bad, Y, RATIO, eta=0.1)


@pytest.mark.parametrize(
    ("method", "architecture", "said"),
    [("mixup", "convnet", "method='mixup': needed is one of 'ERM'"), ("ERM", "vgg", "architecture='vgg': needed is")],
)
def test_unknown_trainings(method: str, architecture: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        mixupe_training.train(method, architecture, 0, mixupe_training.losses)
