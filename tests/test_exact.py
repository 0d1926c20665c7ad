"""The oracle of the theory against plain Python loops, simulation and itself; its imports, its manners."""

from __future__ import annotations

import ast
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import msda_theory as mt
from msda_theory import exact
from msda_theory.losses import Loss
from tests import oracles
from tests.helpers import LOSSES, LinearLoss, Quadratic, TanhNetwork, assert_close, inputs, labels, relu_network
from tests.masks.cases import Case, cutmix, gmix, hmix, stochastic
from verify.tolerances import difference_quotient, monte_carlo, rounding

ROOT = Path(__file__).resolve().parent.parent
CASES = [
    Case(mt.masks.Mixup((2, 2)), oracles.mixup(4)),
    Case(mt.masks.Bernoulli((4,)), oracles.bernoulli(4)),
    *(cutmix((1, 4), sampler) for sampler in mt.masks.SAMPLERS),
    cutmix((2, 3), "clip"),
    hmix((2, 3), Fraction(1, 2), "inside"),
    gmix((2, 2), "printed"),
    gmix((1, 3), "released"),
    stochastic((2, 2), Fraction(1, 4), "clip"),
]
every_case = pytest.mark.parametrize("case", CASES, ids=str)
UNEQUAL = mt.Beta(0.3, 2.0)


def naive(model: nn.Module, loss: Loss, x: Tensor, y: Tensor, case: Case, label: str = "nominal") -> float:
    nodes = oracles.ratio_nodes(UNEQUAL.a, UNEQUAL.b, case.jumps)
    h, f = oracles.H[type(loss).__name__], oracles.model_twin(model)
    return oracles.msda_loss(f, h, x.flatten(1).tolist(), y.tolist(), case.twin, nodes, label)


def scale(model: nn.Module, loss: Loss, x: Tensor) -> float:
    """Size of the terms that are summed, a few times over."""
    f = model(x).detach()
    return 4 * float(loss.h(f).abs().max() + f.abs().sum(-1).max()) + 4


def assert_is(found: mt.ExactLoss, expected: float, model: nn.Module, loss: Loss, x: Tensor) -> None:
    size = scale(model, loss, x)
    allowed = found.error + oracles.QUADRATURE_ERROR * size + rounding(torch.float64, size, 500)
    assert_close(found.value, expected, allowed, repr(loss))


@every_case
def test_against_plain_loops(case: Case) -> None:
    """Two outputs, two samples, unequal alpha and beta; the label weighed as drawn for the second half of the laws."""
    shape = case.law.shape
    x, loss, model = inputs(2, *shape), mt.losses.Logistic(), TanhNetwork(shape, 2, hidden=2)
    y = labels(loss, 2, 2)
    label = "nominal" if CASES.index(case) % 2 == 0 else "realised"
    found = mt.exact_loss(model, loss, x, y, mt.Augmentation(UNEQUAL, case.law, label), rtol=1e-10)
    assert found.error <= 1e-9 * scale(model, loss, x)
    assert_is(found, naive(model, loss, x, y, case, label), model, loss, x)


@pytest.mark.parametrize("loss", [*LOSSES, LinearLoss()], ids=repr)
@pytest.mark.parametrize("outputs", [1, 3])
def test_every_loss_against_plain_loops(loss: Loss, outputs: int) -> None:
    if isinstance(loss, mt.losses.SoftmaxCrossEntropy) and outputs == 1:
        outputs = 2
    case = cutmix((1, 3), "inside")
    x, model = inputs(3, 1, 3), TanhNetwork((1, 3), outputs)
    y = labels(loss, 3, outputs)
    found = mt.exact_loss(model, loss, x, y, mt.Augmentation(UNEQUAL, case.law))
    assert_is(found, naive(model, loss, x, y, case), model, loss, x)


@pytest.mark.parametrize("case", [CASES[0], CASES[2], CASES[6]], ids=str)
def test_channels_share_the_mask(case: Case) -> None:
    """x (m, C, H, W), and two leading axes; the naive twin repeats the mask over the flat sample."""
    for lead in ((2,), (2, 1)):
        shape = (*lead, *case.law.shape)
        x, loss, model = inputs(2, *shape), mt.losses.Squared(), TanhNetwork(shape)
        y = labels(loss, 2, 1)
        found = mt.exact_loss(model, loss, x, y, mt.Augmentation(UNEQUAL, case.law), rtol=1e-10)
        assert_is(found, naive(model, loss, x, y, case), model, loss, x)


def test_by_hand() -> None:
    """Two numbers 0 and 1, f = x, l = f^2/2 - y f, y = x, lambda = 1/4: pairs (0,0), (0,1), (1,0), (1,1)."""
    x = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    augmentation = mt.Augmentation(mt.Discrete((0.25,), (1.0,)), mt.masks.Mixup((1,)))
    found = mt.exact_loss(lambda v: v, mt.losses.Squared(), x, x, augmentation)
    assert found.value == (0 - 0.75**2 / 2 - 0.25**2 / 2 - 1 / 2) / 4
    size = (0 + 0.75**2 * 3 / 2 + 0.25**2 * 3 / 2 + 3 / 2) / 4
    assert found.method == "enumerate"
    assert found.error == pytest.approx(rounding(torch.float64, size, 4), rel=1e-12, abs=0)


def test_no_mixing_is_the_standard_loss() -> None:
    x, loss, model = inputs(5, 2), mt.losses.Logistic(), TanhNetwork((2,))
    y = labels(loss, 5, 1)
    augmentation = mt.Augmentation(mt.Discrete((1.0,), (1.0,)), mt.masks.Mixup((2,)))
    found = mt.exact_loss(model, loss, x, y, augmentation)
    assert_close(found.value, loss(model(x), y).mean(), rounding(torch.float64, 10.0, 50))


# -- error


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("rtol", [1e-3, 1e-5])
def test_the_error_covers_the_truth(seed: int, rtol: float) -> None:
    """A ReLU network, whose kinks make the quadrature slow, against 1024 nodes; and no error exceeds what was asked."""
    x, loss = inputs(4, 2, seed=seed), mt.losses.Logistic()
    y, model = labels(loss, 4, 1, seed=seed), relu_network(seed)
    found = mt.exact_loss(model, loss, x, y, mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Mixup((2,))), rtol=rtol)
    with torch.no_grad():
        reference = float(exact.pair_loss(model, loss, x, y, fine_table()))
    assert abs(found.value - reference) <= found.error <= 2 * rtol * scale(model, loss, x)


@cache
def fine_table() -> mt.MixTable:
    return mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Mixup((2,))).table(1024)


def test_the_error_of_a_sum_that_cancels_is_that_of_its_terms() -> None:
    """l = c f - y f with c = y: the terms are of size 1e8, the value is 0, the error eps times 1e8."""
    x = 1e8 * inputs(3, 2)
    y = torch.full((3,), 1.5, dtype=torch.float64)
    augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Mixup((2,)))
    found = mt.exact_loss(Quadratic((2,), curved=False), LinearLoss(), x, y, augmentation)
    assert abs(found.value) <= found.error
    assert found.error > rounding(torch.float64, 1e8, 1)


def test_a_finer_tolerance_takes_more_evaluations() -> None:
    x, loss = inputs(3, 2), mt.losses.Logistic()
    y, augmentation = labels(loss, 3, 1), mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Mixup((2,)))
    rough, fine = (mt.exact_loss(relu_network(0), loss, x, y, augmentation, rtol=rtol) for rtol in (1e-2, 1e-5))
    assert rough.evaluations < fine.evaluations
    assert rough.evaluations == 9 * (4 + 8 + 16)


def test_the_error_of_a_finite_sum_is_rounding() -> None:
    x, loss, model = inputs(3, 3, 3), mt.losses.Logistic(), TanhNetwork((3, 3))
    augmentation = mt.Augmentation(UNEQUAL, mt.masks.CutMix((3, 3), sampler="inside"))
    found = mt.exact_loss(model, loss, x, labels(loss, 3, 1), augmentation)
    assert 0 < found.error <= rounding(torch.float64, scale(model, loss, x), 4)
    assert found.evaluations == 9 * len(augmentation.table(1))


def test_it_prints_its_value_error_and_cost() -> None:
    assert str(mt.ExactLoss(1.23456789012345, 0.00234, "sobol", 1234567)) == (
        "1.23456789 +- 0.002 (sobol, 1,234,567 evaluations)"
    )


# -- Monte Carlo


@every_case
@pytest.mark.parametrize("label", ["nominal", "realised"])
def test_monte_carlo_agrees(case: Case, label: str) -> None:
    """One seed in a million fails a correct program."""
    shape = case.law.shape
    x, loss, model = inputs(4, *shape), mt.losses.Logistic(), TanhNetwork(shape)
    y, augmentation = labels(loss, 4, 1), mt.Augmentation(UNEQUAL, case.law, label)
    reference = mt.exact_loss(model, loss, x, y, augmentation)
    found = mt.exact_loss(model, loss, x, y, augmentation, method="monte-carlo", samples=4000, seed=2)
    assert found.method == "monte-carlo" and found.evaluations == 4000
    assert_close(found.value, reference.value, monte_carlo(found.error) + reference.error, str(case))


def test_the_standard_error_is_one() -> None:
    """Over 200 seeds the errors in units of the standard error have variance one, to within four of its own errors.

    P(|chi^2_200/200 - 1| > 0.4) = 2e-4, and the seeds are fixed.
    """
    x, loss, model = inputs(4, 2), mt.losses.Logistic(), TanhNetwork((2,))
    y, augmentation = labels(loss, 4, 1), mt.Augmentation(UNEQUAL, mt.masks.Mixup((2,)))
    truth = mt.exact_loss(model, loss, x, y, augmentation).value
    runs = [
        mt.exact_loss(model, loss, x, y, augmentation, method="monte-carlo", samples=400, seed=seed)
        for seed in range(200)
    ]
    assert np.mean([((run.value - truth) / run.error) ** 2 for run in runs]) == pytest.approx(1.0, abs=0.4)


def test_the_standard_error_of_large_numbers_that_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """10^8 and a normal number: each deviation is good to eps 10^8, in blocks as in one."""
    monkeypatch.setattr(exact, "CHUNK_INPUTS", 50)
    drawn: list[Tensor] = []

    def draw(n: int, rng: np.random.Generator) -> Tensor:
        drawn.append(torch.from_numpy(1e8 + rng.standard_normal(n)))
        return drawn[-1]

    found, values = exact.monte_carlo(draw, 151, torch.zeros(2, 3), 0), torch.cat(drawn)
    assert_close(found.error, values.std() / 151**0.5, rounding(torch.float64, 1e8, 8))


def test_monte_carlo_is_reproducible() -> None:
    x, loss, model = inputs(4, 2), mt.losses.Logistic(), TanhNetwork((2,))
    problem = (model, loss, x, labels(loss, 4, 1), mt.Augmentation(UNEQUAL, mt.masks.Bernoulli((2,))))
    first, again, other = (
        mt.exact_loss(*problem, method="monte-carlo", samples=100, seed=seed).value for seed in (1, 1, 2)
    )
    assert first == again != other
    generator = np.random.default_rng(1)
    drawn = [mt.exact_loss(*problem, method="monte-carlo", samples=100, seed=generator).value for _ in range(2)]
    assert drawn[0] == first != drawn[1]


# -- manners


@pytest.mark.parametrize("method", ["enumerate", "monte-carlo"])
@pytest.mark.parametrize(("name", "value"), [("CHUNK_ELEMENTS", 1), ("CHUNK_INPUTS", 1), ("CHUNK_ELEMENTS", 100)])
def test_chunks_do_not_change_the_value(monkeypatch: pytest.MonkeyPatch, method: str, name: str, value: int) -> None:
    """The random draws come in blocks, so a Monte Carlo value may only change by chance."""
    x, loss, model = inputs(3, 2, 3, 3), mt.losses.SoftmaxCrossEntropy(), TanhNetwork((2, 3, 3), 3)
    y, augmentation = torch.tensor([0, 2, 1]), mt.Augmentation(UNEQUAL, mt.masks.CutMix((3, 3), sampler="torus"))
    options = {"method": method, "samples": 100, "seed": 0}
    whole = mt.exact_loss(model, loss, x, y, augmentation, **options)
    monkeypatch.setattr(exact, name, value)
    blocks = mt.exact_loss(model, loss, x, y, augmentation, **options)
    random = monte_carlo(whole.error) + monte_carlo(blocks.error) if method == "monte-carlo" else 0.0
    assert_close(blocks.value, whole.value, random + rounding(torch.float64, scale(model, loss, x), 200))


def test_a_tolerance_below_rounding_cannot_be_met() -> None:
    x, loss, model = inputs(2, 1), mt.losses.Logistic(), Quadratic((1,), curved=False)
    augmentation = mt.Augmentation(UNEQUAL, mt.masks.Mixup((1,)))
    with pytest.raises(mt.ToleranceError, match="rtol=1e-18 cannot be met for the exact loss: "):
        mt.exact_loss(model, loss, x, labels(loss, 2, 1), augmentation, rtol=1e-18)


@pytest.mark.parametrize("method", ["enumerate", "monte-carlo"])
def test_arguments_are_not_changed(method: str) -> None:
    """Also where the model's first layer writes in place."""
    x, loss = inputs(3, 2) - 1, mt.losses.Logistic()
    y = labels(loss, 3, 1)
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(2, 1).double())
    before = [t.clone() for t in (x, y, *model.parameters())]
    mt.exact_loss(model, loss, x, y, mt.Augmentation(UNEQUAL, mt.masks.Mixup((2,))), method=method, samples=10, seed=0)
    assert all(torch.equal(old, now) for old, now in zip(before, (x, y, *model.parameters()), strict=True))
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("case", CASES[:3], ids=str)
def test_float32_agrees_with_float64(case: Case) -> None:
    """A network of depth 2 on 4 pixels: each output is a chain of about 20 operations in float32."""
    shape = case.law.shape
    x, loss, model = inputs(3, *shape).float(), mt.losses.Logistic(), TanhNetwork(shape).float()
    y, augmentation = labels(loss, 3, 1).float(), mt.Augmentation(UNEQUAL, case.law)
    single = mt.exact_loss(model, loss, x, y, augmentation, rtol=1e-4)
    assert x.dtype == y.dtype == torch.float32
    double = mt.exact_loss(model.double(), loss, x.double(), y.double(), augmentation)
    size = scale(model, loss, x.double())
    assert_close(single.value, double.value, rounding(torch.float32, size, 20) + single.error + double.error)
    assert single.error > rounding(torch.float32, 0.1, 1), "the error knows the dtype"


@pytest.mark.parametrize("case", CASES[:3], ids=str)
def test_float32_is_drawn_as_float64(case: Case) -> None:
    """The same draws, each of them good to about 20 operations in float32."""
    shape, loss, options = case.law.shape, mt.losses.Logistic(), {"method": "monte-carlo", "samples": 100, "seed": 0}
    x, model, augmentation = inputs(3, *shape).float(), TanhNetwork(shape).float(), mt.Augmentation(UNEQUAL, case.law)
    y = labels(loss, 3, 1).float()
    single = mt.exact_loss(model, loss, x, y, augmentation, **options)
    double = mt.exact_loss(model.double(), loss, x.double(), y.double(), augmentation, **options)
    allowed = rounding(torch.float32, scale(model, loss, x.double()), 20)
    assert_close(single.value, double.value, allowed)
    assert_close(single.error, double.error, allowed)


def test_models_with_one_output_may_drop_the_axis() -> None:
    x, loss, model = inputs(3, 2), mt.losses.Logistic(), TanhNetwork((2,))
    y, augmentation = labels(loss, 3, 1), mt.Augmentation(UNEQUAL, mt.masks.Mixup((2,)))
    column = mt.exact_loss(model, loss, x, y, augmentation)
    flat = mt.exact_loss(lambda v: model(v)[:, 0], loss, x, y[:, 0], augmentation)
    assert flat == replace(column)


def test_pair_loss_is_differentiable() -> None:
    """Its gradient in a parameter against differences at two steps."""
    x, loss, model = inputs(3, 2), mt.losses.Logistic(), TanhNetwork((2,))
    y, table = labels(loss, 3, 1), mt.Augmentation(UNEQUAL, mt.masks.Bernoulli((2,))).table(8)
    exact.pair_loss(model, loss, x, y, table).backward()
    gradient = float(model.inner.grad[0, 1])

    def at(shift: float) -> float:
        with torch.no_grad():
            model.inner[0, 1] += shift
            value = float(exact.pair_loss(model, loss, x, y, table))
            model.inner[0, 1] -= shift
        return value

    fine, coarse = ((at(step) - at(-step)) / (2 * step) for step in (1e-4, 2e-4))
    assert_close(gradient, fine, difference_quotient(fine, coarse, 1e-4, scale(model, loss, x)))


def test_the_oracle_imports_nothing_of_the_theory() -> None:
    """Nor does anything that it imports; the walk must see modules that it does import."""
    seen, todo = set(), ["msda_theory.exact"]
    while todo:
        module = todo.pop()
        if module not in seen:
            seen.add(module)
            todo += imported(module)
    assert {"msda_theory.augmentation", "msda_theory.masks._boxes", "msda_theory.losses"} <= seen
    assert not [m for m in seen if m.startswith(("msda_theory.expansions", "msda_theory.derivatives"))]


def imported(module: str) -> list[str]:
    path = ROOT.joinpath(*module.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    names = []
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [n for n in names if n and n.startswith("msda_theory.") and is_module(n)]


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@every_case
def test_on_a_gpu(case: Case) -> None:
    """Values of both methods; the data and the model are on the device, the law is not."""
    shape = case.law.shape
    x, loss, model = inputs(3, *shape), mt.losses.Logistic(), TanhNetwork(shape)
    y, augmentation = labels(loss, 3, 1), mt.Augmentation(UNEQUAL, case.law)
    here = mt.exact_loss(model, loss, x, y, augmentation)
    simulated = mt.exact_loss(model, loss, x, y, augmentation, method="monte-carlo", samples=1000, seed=0)
    there = (model.cuda(), loss, x.cuda(), y.cuda(), augmentation)
    allowed = here.error + rounding(torch.float64, scale(model, loss, x.cuda()), 200)
    assert_close(mt.exact_loss(*there).value, here.value, allowed)
    drawn = mt.exact_loss(*there, method="monte-carlo", samples=1000, seed=0).value
    assert_close(drawn, simulated.value, allowed)
