"""Directions that the samples share, turned: the same sums and slopes, of fewer and shorter ones."""

import pytest
import torch
from torch import nn

from msda_theory.jets import Jet, Slopes, made, propagate
from tests.helpers import assert_close
from verify.tolerances import rounding

DTYPE = torch.float64
ALLOWED = rounding(DTYPE, 100.0, 10_000)


class Skip(nn.Module):
    """The input goes around the layers."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6))

    def forward(self, x):
        return (x + self.inner(x)).sin()


def layers(*modules):
    return nn.Sequential(*modules, nn.Tanh(), nn.Linear(4, 2))


NETWORKS = {
    "narrow": lambda: nn.Sequential(nn.Linear(6, 3), nn.Tanh(), nn.Linear(3, 5), nn.GELU(), nn.Linear(5, 2)),
    "wide": lambda: nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 4), nn.SiLU(), nn.Linear(4, 2)),
    "a kink": lambda: nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.SiLU(), nn.Linear(4, 2)),
    "two activations": lambda: nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Sigmoid(), nn.Linear(9, 2)),
    "no layer at first": lambda: nn.Sequential(nn.Tanh(), nn.Linear(6, 4), nn.Tanh()),
    "an activation at last": lambda: nn.Sequential(nn.Linear(6, 2), nn.Softplus()),
    "a norm in between": lambda: layers(nn.Linear(6, 8), nn.Tanh(), nn.LayerNorm(8), nn.Linear(8, 4)),
    "skip": Skip,
    "images": lambda: layers(nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 2, 2), nn.SiLU(), nn.Flatten(), nn.Linear(4, 4)),
    "matrix": lambda: lambda x: ((x @ MATRIX).tanh() @ MATRIX.T).sin(),
}
MATRIX = torch.randn(6, 8, dtype=DTYPE, generator=torch.Generator().manual_seed(5))


def network(name):
    torch.manual_seed(0)
    made_ = NETWORKS[name]()
    return made_.to(DTYPE).requires_grad_(False) if isinstance(made_, nn.Module) else made_


def moves(count, rank=6):
    """Of a rank, the last one zero."""
    draw = torch.Generator().manual_seed(count)
    found = torch.randn(count, rank, dtype=DTYPE, generator=draw) @ torch.randn(rank, 6, dtype=DTYPE, generator=draw)
    found[-1] = 0
    return found.unsqueeze(1)


X = torch.randn(7, 6, dtype=DTYPE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("at_once", [None, 1, 3])
@pytest.mark.parametrize("rank", [1, 6])
@pytest.mark.parametrize("count", [2, 5, 8, 40])
@pytest.mark.parametrize("name", NETWORKS)
def test_they_are_those_of_directions_that_every_sample_has_for_itself(name, count, rank, at_once):
    model, directions = network(name), moves(count, rank)
    whole = propagate(model, X, directions.expand(-1, 7, -1))
    for some in (directions, directions.expand(-1, 7, -1)):
        found = propagate(model, X, some, at_once)
        for a, b in zip(found.slopes_and_bend, whole.slopes_and_bend, strict=True):
            assert_close(a, b, ALLOWED)
        assert_close(found.bend, whole.bend, ALLOWED)


def swept(model, directions, at_once=None):
    """How many directions, and numbers of each, the second layer is given, group by group."""
    own, seen = propagate(model, X, directions.expand(-1, 7, -1)).bend, []

    def watched(layer, args, out):
        make = out.slopes.make
        out.slopes.make = lambda v: (seen.append((len(v), v.shape[-1])), make(v))[1]

    hook = model[2].register_forward_hook(watched)
    bend = propagate(model, X, directions, at_once).bend
    hook.remove()
    assert_close(bend, own, ALLOWED)
    return seen


def test_a_narrow_layer_leaves_as_many_directions_as_it_has_units():
    assert sum(rows for rows, _ in swept(network("narrow"), moves(40), 2)) == 3


def test_zeros_at_the_start_are_not_multiplied():
    assert swept(network("wide"), moves(8), 3) == [(3, 12), (3, 9), (2, 6)]


def test_many_more_numbers_than_directions_stay_as_they_are():
    """Of 12 numbers along 2 directions one would be zero."""
    assert swept(network("wide"), moves(2), 1) == [(1, 12), (1, 12)]
    assert swept(network("wide"), moves(3), 1) == [(1, 12), (1, 11), (1, 10)]


def test_slopes_that_are_asked_for_are_whole():
    jet = Jet.start(X, moves(5))
    assert_close(made([jet.tanh().slopes], 2)[0], moves(5) * (1 - X.tanh() ** 2), ALLOWED)


def test_zeros_of_a_matrix_are_not_those_of_its_rows():
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2), nn.Tanh(), nn.Flatten()).to(DTYPE)
    x, directions = X.view(7, 2, 3), moves(5).view(5, 1, 2, 3)
    found = propagate(model.requires_grad_(False), x, directions, 2).bend
    assert_close(found, propagate(model, x, directions.expand(-1, 7, -1, -1)).bend, ALLOWED)


def test_samples_that_are_numbers():
    found = propagate(lambda x: x.tanh().exp(), X[:, 0], moves(5)[..., 0], 2)
    own = propagate(lambda x: x.tanh().exp(), X[:, 0], moves(5)[..., 0].expand(-1, 7))
    assert_close(found.bend, own.bend, ALLOWED)


def test_directions_are_turned_once_for_all_samples(monkeypatch):
    """The chunks of samples share them."""
    count, qr = [], torch.linalg.qr
    monkeypatch.setattr(torch.linalg, "qr", lambda *a: (count.append(1), qr(*a))[1])
    model, directions = network("wide"), Slopes.of(moves(8))
    for rows in (X[:3], X[3:]):
        made([propagate(model, rows, directions).jet.full_bend])
    assert count == [1]


def test_a_gradient_is_that_of_directions_as_they_are():
    """Zeros for these weights are none for others: where a gradient is recorded, nothing is left out."""
    model, directions = network("wide").requires_grad_(), moves(8)
    found = []
    for some in (directions, directions.expand(-1, 7, -1)):
        propagate(model, X, some, 3).bend.square().sum().backward()
        found.append([p.grad.clone() for p in list(model.parameters())[:-1]])  # the last bias bends nothing
        model.zero_grad()
    for a, b in zip(*found, strict=True):
        assert_close(a, b, 100 * ALLOWED)
    assert swept(model, directions, 3) == [(3, 12), (3, 12), (2, 12)]


@pytest.mark.parametrize("name", ["narrow", "wide"])
def test_a_derivative_forwards_is_that_of_directions_as_they_are(name):
    """Along a change of the first weights."""
    model, weights = network(name), dict(network(name).named_parameters())
    change = torch.randn(weights["0.weight"].shape, dtype=DTYPE, generator=torch.Generator().manual_seed(3))

    def bend(weight, directions):
        moved = weights | {"0.weight": weight}
        return propagate(lambda x: torch.func.functional_call(model, moved, (x,)), X, directions, 3).bend

    a, b = (
        torch.func.jvp(lambda w: bend(w, some), (weights["0.weight"],), (change,))[1]  # noqa: B023
        for some in (moves(8), moves(8).expand(-1, 7, -1))
    )
    assert_close(a, b, 100 * ALLOWED)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_short_floats_stay_as_they_are(dtype):
    model, directions = network("wide").to(dtype), moves(8).to(dtype)
    found = propagate(model, X.to(dtype), directions, 3).bend
    own = propagate(model, X.to(dtype), directions.expand(-1, 7, -1)).bend
    assert found.dtype == dtype
    assert_close(found.double(), own.double(), rounding(dtype, 100.0, 100))


def test_no_directions():
    found = propagate(network("wide"), X, moves(2)[:0])
    assert found.slopes.shape == (0, 7, 2) and not found.bend.any()


def test_a_layer_without_units():
    model = nn.Sequential(nn.Linear(6, 0), nn.Tanh(), nn.Linear(0, 2), nn.Tanh()).to(DTYPE).requires_grad_(False)
    found = propagate(model, X, moves(3))
    assert found.slopes.shape == (3, 7, 2) and not found.slopes.any() and not found.bend.any()
