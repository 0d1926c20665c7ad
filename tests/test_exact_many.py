"""The oracle of n samples against plain Python loops, the oracle of two, simulation and itself."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor, nn

import msda_theory as mt
from msda_theory import exact_many
from msda_theory.losses import Loss
from tests import oracles
from tests.helpers import LOSSES, LinearLoss, TanhNetwork, assert_close, inputs, labels
from verify.tolerances import monte_carlo, rounding

UNEQUAL = mt.Dirichlet((0.3, 2.0, 0.7))
NEGLIGIBLE = 1e-16  # a node of the naive twin that weighs less is left out


def naive(model: nn.Module, loss: Loss, x: Tensor, y: Tensor, alpha: tuple[float, float, float]) -> float:
    """Three ratios, by breaking a stick twice: tanh-sinh nodes, tuples one after another, nothing of the library."""
    f, h = oracles.model_twin(model), oracles.H[type(loss).__name__]
    data = list(zip(x.flatten(1).tolist(), y.tolist(), strict=True))
    first, second = oracles.ratio_nodes(alpha[0], alpha[1] + alpha[2]), oracles.ratio_nodes(alpha[1], alpha[2])
    total = 0.0
    for (a, left, u), (b, rest, v) in product(first, second):
        if u * v > NEGLIGIBLE:
            shares = (a, left * b, left * rest)
            for samples in product(data, repeat=3):
                out = f(weighted(shares, [s for s, _ in samples]))
                total += u * v * (h(out) - oracles.dot(weighted(shares, [t for _, t in samples]), out))
    return total / len(data) ** 3


def weighted(shares: tuple[float, ...], vectors: list[list[float]]) -> list[float]:
    return [oracles.dot(shares, column) for column in zip(*vectors, strict=True)]


@pytest.mark.parametrize("loss", [mt.losses.Logistic(), mt.losses.SoftmaxCrossEntropy()], ids=repr)
def test_against_plain_loops(loss: Loss) -> None:
    x, model = inputs(2, 2), TanhNetwork((2,), 2, hidden=2)
    y = labels(loss, 2, 2)
    found = mt.n_mixup_loss(model, loss, x, y, UNEQUAL, rtol=1e-9)
    f = model(x).detach()
    size = 4 * float(loss.h(f).abs().max() + f.abs().sum(-1).max()) + 4
    nodes = len(oracles.ratio_nodes(1.0, 1.0)) ** 2
    allowed = found.error + (2 * oracles.QUADRATURE_ERROR + nodes * NEGLIGIBLE) * size
    assert_close(found.value, naive(model, loss, x, y, (0.3, 2.0, 0.7)), allowed)


@pytest.mark.parametrize("loss", [*LOSSES, LinearLoss()], ids=repr)
@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (0.3, 2.0)])
def test_two_samples_are_mixup(loss: Loss, a: float, b: float) -> None:
    """The other oracle, which knows of pairs alone; inputs with two axes, two outputs."""
    x, model = inputs(4, 2, 3), TanhNetwork((2, 3), 2)
    y = labels(loss, 4, 2)
    found = mt.n_mixup_loss(model, loss, x, y, mt.Dirichlet((a, b)), rtol=1e-9)
    other = mt.exact_loss(model, loss, x, y, mt.Augmentation(mt.Beta(a, b), mt.masks.Mixup((2, 3))), rtol=1e-9)
    assert_close(found.value, other.value, found.error + other.error)


def test_by_hand() -> None:
    """0 and 1, f = x, l = f^2/2 - y f with y = x: l = -x~^2/2, E[x~^2] = E[lambda_k lambda_l] E[x_k x_l] summed."""
    x, law = torch.tensor([[0.0], [1.0]], dtype=torch.float64), mt.Dirichlet((1.0, 1.0, 1.0))
    # E[lambda_k^2] = 1/6, E[lambda_k lambda_l] = 1/12, E[x^2] = 1/2, E[x]^2 = 1/4
    expected = -(3 / 6 / 2 + 6 / 12 / 4) / 2
    found = mt.n_mixup_loss(lambda v: v, mt.losses.Squared(), x, x, law)
    assert_close(found.value, expected, found.error)


def test_the_order_of_the_ratios_makes_no_difference() -> None:
    x, loss, model = inputs(3, 2), mt.losses.Logistic(), TanhNetwork((2,))
    y = labels(loss, 3, 1)
    found = [mt.n_mixup_loss(model, loss, x, y, mt.Dirichlet(a), rtol=1e-8) for a in ((0.3, 2.0, 0.7), (2.0, 0.7, 0.3))]
    assert_close(found[0].value, found[1].value, found[0].error + found[1].error)


def test_monte_carlo_agrees_and_repeats() -> None:
    x, loss, model = inputs(3, 2), mt.losses.Logistic(), TanhNetwork((2,))
    y = labels(loss, 3, 1)
    exact = mt.n_mixup_loss(model, loss, x, y, UNEQUAL)
    drawn = [mt.n_mixup_loss(model, loss, x, y, UNEQUAL, method="monte-carlo", samples=50_000, seed=s) for s in (0, 0)]
    assert drawn[0] == drawn[1]
    assert drawn[0].evaluations == 50_000
    assert_close(drawn[0].value, exact.value, monte_carlo(drawn[0].error) + exact.error)


def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    x, loss, model = inputs(3, 2), mt.losses.Logistic(), TanhNetwork((2,))
    y = labels(loss, 3, 1)
    whole = mt.n_mixup_loss(model, loss, x, y, UNEQUAL)
    monkeypatch.setattr(exact_many, "CHUNK_INPUTS", 17)
    parts = mt.n_mixup_loss(model, loss, x, y, UNEQUAL)
    assert parts.evaluations == whole.evaluations
    assert_close(parts.value, whole.value, rounding(torch.float64, 4.0, 100))


def test_single_precision_stays_what_it_is() -> None:
    x, loss, model = inputs(3, 2), mt.losses.Logistic(), TanhNetwork((2,))
    y = labels(loss, 3, 1)
    seen: list[torch.dtype] = []

    def single(z: Tensor) -> Tensor:
        seen.append(z.dtype)
        return model.float()(z)

    found = mt.n_mixup_loss(single, loss, x.float(), y, UNEQUAL, rtol=1e-3)
    assert set(seen) == {torch.float32}
    assert_close(
        found.value,
        mt.n_mixup_loss(model.double(), loss, x, y, UNEQUAL).value,
        found.error + rounding(torch.float32, 4.0, 20),
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu() -> None:
    """Values of both methods, and the terms; the data and the model are on the device, the law is not."""
    x, loss, model = inputs(3, 2), mt.losses.Logistic(), TanhNetwork((2,))
    y = labels(loss, 3, 1)
    options: list[dict[str, object]] = [{}, {"method": "monte-carlo", "samples": 1000, "seed": 0}]
    here = [mt.n_mixup_loss(model, loss, x, y, UNEQUAL, **given).value for given in options]  # type: ignore[arg-type]
    here.append(mt.n_mixup_terms(model, loss, x, y, UNEQUAL).total)
    there = (model.cuda(), loss, x.cuda(), y.cuda(), UNEQUAL)
    found = [mt.n_mixup_loss(*there, **given).value for given in options]  # type: ignore[arg-type]
    found.append(mt.n_mixup_terms(*there).total)
    assert_close(found, here, rounding(torch.float64, 4.0, 400))


# -- input that is refused, before the model is called


def must_not_run(x: Tensor) -> Tensor:
    raise AssertionError("the model was called")


X, Y = inputs(4, 2), torch.tensor([0.0, 1.0, 1.0, 0.0], dtype=torch.float64)


@pytest.mark.parametrize("entry", [mt.n_mixup_loss, mt.n_mixup_terms], ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"ratios": mt.Beta(1.0, 1.0)}, TypeError, "ratios is a Beta: needed is a Dirichlet"),
        ({"loss": mt.losses.Logistic}, TypeError, "needed is a Loss"),
        ({"y": Y[:3]}, ValueError, "x holds 4 samples and y has shape"),
        ({"x": X[0]}, ValueError, r"x has shape \(2,\): needed is a batch \(m, ...\)"),
        ({"x": X * float("nan")}, ValueError, "x has 8 entries"),
        ({"x": X[:1], "y": Y[:1]}, ValueError, "x holds 1 sample"),
        ({"x": X.numpy()}, TypeError, "x is a ndarray"),
        ({"x": X.long()}, TypeError, "x has dtype torch.int64"),
        ({"model": nn.Sequential(nn.Linear(2, 1), nn.Dropout())}, ValueError, "train mode"),
    ],
    ids=str,
)
def test_bad_input(entry: object, change: dict[str, object], error: type[Exception], message: str) -> None:
    given = {"model": must_not_run, "loss": mt.losses.Logistic(), "x": X, "y": Y, "ratios": UNEQUAL, **change}
    with pytest.raises(error, match=message):
        entry(**given)  # type: ignore[operator]


def test_too_many_tuples_are_refused_beforehand() -> None:
    law = mt.Dirichlet((1.0,) * 4)
    x, y = inputs(40, 2), torch.zeros(40, dtype=torch.float64)
    with pytest.raises(mt.NotEnumerableError, match=r"1.2e\+10 evaluations .* 40\^4 = 2.6e\+06 tuples"):
        mt.n_mixup_loss(must_not_run, mt.losses.Logistic(), x, y, law)
    with pytest.raises(ValueError, match="method='guess'"):
        mt.n_mixup_loss(must_not_run, mt.losses.Logistic(), x, y, law, method="guess")
    with pytest.raises(ValueError, match="samples=1"):
        mt.n_mixup_loss(must_not_run, mt.losses.Logistic(), x, y, law, method="monte-carlo", samples=1)
    with pytest.raises(ValueError, match="rtol=0"):
        mt.n_mixup_loss(must_not_run, mt.losses.Logistic(), x, y, law, rtol=0)


def test_an_overflow_is_said() -> None:
    """h = e^f and f about 1000: inf by simulation, and a quadrature that cannot converge."""
    data = lambda v: 1e3 + v[:, :1], mt.losses.Poisson(), X, Y, UNEQUAL
    with pytest.raises(ValueError, match=r"the exact loss is inf: .* overflow"):
        mt.n_mixup_loss(*data, method="monte-carlo", samples=10)
    with pytest.raises(mt.ToleranceError, match="it is not finite"):
        mt.n_mixup_loss(*data)
