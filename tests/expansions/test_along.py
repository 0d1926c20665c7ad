"""Second-order terms along moves: complete factors against the dense twin, drawn moves against both."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import msda_theory as mt
from msda_theory.expansions import routes
from msda_theory.expansions.along import sums_along
from msda_theory.expansions.moves import Directions, Moves, drawn_moves, exact_moves
from msda_theory.expansions.routes import Route, by_gradients, by_jets, by_reverse_mode, route_for
from msda_theory.expansions.second_order import taylor_terms
from tests.dense_twin import dense_terms, second_moments
from tests.helpers import assert_close
from verify.tolerances import monte_carlo, rounding

DTYPE = torch.float64
ALLOWED = rounding(DTYPE, 10.0, 10_000)
SHAPE = (4, 6)
TERMS = ("standard", "r1", "r2", "r3")
LAWS = {
    "Mixup": mt.masks.Mixup(SHAPE),
    "CutMix, clip": mt.masks.CutMix(SHAPE, sampler="clip"),
    "HMix": mt.masks.HMix(SHAPE, r=0.5, sampler="inside"),
    "GMix": mt.masks.GMix(SHAPE, kernel="printed"),
}


@pytest.fixture(params=[(), (2,)], ids=["grey", "two channels"])
def x(request):
    return torch.randn(6, *request.param, *SHAPE, dtype=DTYPE, generator=torch.Generator().manual_seed(0)) + 0.3


@pytest.fixture(params=LAWS)
def augmentation(request):
    return mt.Augmentation(mt.Beta(0.7, 2.0), LAWS[request.param])


def network(x, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(x[0].numel(), 8), nn.Tanh(), nn.Linear(8, 3)).to(x.dtype).eval()


def labels(x):
    return torch.eye(3, dtype=x.dtype)[torch.arange(len(x)) % 3]


def total_square(moves, x):
    """sum_s v_is v_is^T (m, d, d)."""
    everything = slice(0, 10**6)
    parts = [v.of(slice(0, len(x)), everything).expand(-1, len(x), -1) for v in moves.directions if len(v)]
    return torch.einsum("smd,sme->mde", *[torch.cat(parts)] * 2)


def test_complete_directions_have_the_second_moment(x, augmentation):
    moments = augmentation.seen()
    moves, (drift, moved) = exact_moves(moments, x), second_moments(moments, x)
    assert_close(moves.drifts[0], drift, ALLOWED)
    assert_close(total_square(moves, x), moved, ALLOWED)


def test_mixup_has_as_many_directions_as_samples(x):
    moves = exact_moves(mt.Augmentation(mt.Beta(1.0, 1.0), LAWS["Mixup"]).seen(), x)
    assert [len(part) for part in moves.directions] == [len(x) - 1, 1]


def test_terms_are_those_of_the_dense_twin(x, augmentation):
    model, loss, moments = network(x), mt.losses.SoftmaxCrossEntropy(), augmentation.seen()
    for centred in (False, True):
        ours = taylor_terms(model, loss, x, labels(x), moments, centred=centred)
        theirs = dense_terms(model, loss, x, labels(x), moments, centred=centred)
        for term in TERMS:
            assert_close(getattr(ours, term), getattr(theirs, term), ALLOWED)


def test_gradients_in_the_parameters_are_those_of_the_dense_twin(x, augmentation):
    model, loss, moments = network(x), mt.losses.SoftmaxCrossEntropy(), augmentation.seen()
    ours, theirs = (
        torch.autograd.grad(terms(model, loss, x, labels(x), moments).total, list(model.parameters()))
        for terms in (taylor_terms, dense_terms)
    )
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b, ALLOWED)


def test_chunks_do_not_matter(x, augmentation, monkeypatch):
    model, loss, moments = network(x), mt.losses.SoftmaxCrossEntropy(), augmentation.seen()
    whole = taylor_terms(model, loss, x, labels(x), moments)
    monkeypatch.setattr(routes, "CHUNK", {"cpu": 1})
    monkeypatch.setattr("msda_theory.expansions.moves.LARGEST_GROUP", 5)
    monkeypatch.setattr(routes, "SHARED", 0)
    small = taylor_terms(model, loss, x, labels(x), moments)
    for term in TERMS:
        assert_close(getattr(small, term), getattr(whole, term), ALLOWED)


@pytest.mark.parametrize(
    ("method", "widths", "drawn", "shared", "own"),
    [
        (by_jets, (2**12, 2**12), False, [200], [50] * 4),
        (by_jets, (2**13, 2**12), False, [100, 100], [50] * 4),
        (by_jets, (2**15, 2**12), False, [50] * 4, [50] * 4),
        (by_jets, (0, 2**12), False, [200], [50] * 4),
        (by_jets, (0, 0), False, [200], [200]),
        (by_jets, (2**12, 2**12), True, [25] * 8, [25] * 8),
        (by_gradients, (2**12, 2**12), False, [200], [200]),
        (by_reverse_mode, (2**12, 2**12), False, [50] * 4, [50] * 4),
    ],
)
def test_groups_of_shared_directions_are_as_large_as_they_fit(method, widths, drawn, shared, own):
    """200 directions that the samples share, and 200 of their own; 2^20 numbers, or 64 directions, go together."""
    flat = torch.ones(200, 3)
    moves = Moves(flat[:0], (Directions(flat, None, flat[:2]), Directions(None, flat, flat[:2])), drawn=drawn)
    groups = Route(method, widths).groups(moves)
    for sizes, width, directions in zip((shared, own), widths, moves.directions, strict=True):
        found = [(some.stop - some.start, of) for each, some, of in groups if each is directions]
        assert found == [(size, width) for size in sizes]


@pytest.mark.parametrize("label", ["nominal", "realised"])
def test_drawn_moves_agree_within_their_error(x, label):
    """One comparison a label rule, at the false-alarm rate of the tolerances."""
    augmentation = mt.Augmentation(mt.Beta(0.7, 2.0), LAWS["CutMix, clip"], label=label)
    problem = network(x), mt.losses.SoftmaxCrossEntropy(), x, labels(x), augmentation
    exact, drawn = mt.taylor_loss(*problem), mt.taylor_loss(*problem, directions=4096, seed=1)
    assert 0 < drawn.error < 0.1 * abs(exact.total - exact.standard)
    assert abs(drawn.total - exact.total) <= monte_carlo(drawn.error, comparisons=2)
    assert "+-" in str(drawn) and "+-" not in str(exact)
    again, other = (mt.taylor_loss(*problem, directions=4096, seed=seed) for seed in (1, 2))
    assert again == drawn and other != drawn


def test_the_standard_error_is_that_of_many_repetitions(x):
    """The mean square of 200 deviations over the claimed variance: chi-squared, within 5 standard deviations."""
    augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), LAWS["Mixup"])
    problem = network(x), mt.losses.SoftmaxCrossEntropy(), x, labels(x), augmentation
    exact = mt.taylor_loss(*problem).total
    runs = [mt.taylor_loss(*problem, directions=256, seed=seed) for seed in range(200)]
    ratio = sum((run.total - exact) ** 2 for run in runs) / sum(run.error**2 for run in runs)
    assert abs(ratio - 1) < 5 * ((2 + 2 / 7 * 2) / 200) ** 0.5


def with_the_batch(z):
    return (z - z.mean(0)).flatten(1)[:, :3].sin()


def with_wrong_forward_mode(z):
    return torch.stack(
        [torch.linalg.det(z[..., :3, :3].flatten(1, -3).sum(1) if z.ndim > 3 else z[..., :3, :3])] * 3, 1
    )


def with_unsupported_forward_mode(z):
    return torch.nn.functional.glu(z.flatten(1)[:, :6])


@pytest.mark.parametrize("model", [with_the_batch, with_wrong_forward_mode, with_unsupported_forward_mode])
def test_networks_that_jets_get_wrong_take_reverse_mode(model, x):
    """The determinant's second derivatives come out wrong where torch nests forward mode; a batch is no sample."""
    moves = exact_moves(mt.Augmentation(mt.Beta(1.0, 1.0), LAWS["CutMix, clip"]).seen(), x)
    residual, curvature = torch.ones(6, 3, dtype=DTYPE), torch.eye(3, dtype=DTYPE).expand(6, 3, 3)
    assert route_for(model, x, moves, residual, curvature).method is by_reverse_mode
    found = sums_along(model, x, moves, residual, curvature)
    alone = [
        sums_along(
            model,
            x[i : i + 1].repeat(2, *[1] * (x.ndim - 1)),
            _only(moves, i),
            residual[:2],
            curvature[:2],
            Route(by_reverse_mode, (10, 10)),
        )
        for i in range(6)
    ]
    assert_close(found.curved.sum(), torch.stack([a.curved.sum() for a in alone]).mean(), ALLOWED)


def _only(moves, i):
    """The moves of sample i, twice."""
    parts = tuple(replace(part, away=part.away[i : i + 1].repeat(2, 1)) for part in moves.directions)
    return replace(moves, directions=parts)


def test_both_methods_agree(x, augmentation):
    moves, model = exact_moves(augmentation.seen(), x), network(x)
    residual, curvature = torch.ones(6, 3, dtype=DTYPE), torch.eye(3, dtype=DTYPE).expand(6, 3, 3)
    with torch.no_grad():
        ours, theirs = (
            sums_along(model, x, moves, residual, curvature, Route(m, (10, 10))) for m in (by_jets, by_reverse_mode)
        )
    assert_close(ours.gauss, theirs.gauss, ALLOWED)
    assert_close(ours.curved, theirs.curved, ALLOWED)


def relu_network(x):
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(x[0].numel(), 9), nn.ReLU(), nn.Linear(9, 3)).to(x.dtype).eval()


def test_networks_that_do_not_bend_take_gradients(x):
    """One backward pass an output in the place of a forward pass a direction, where that is cheaper."""
    moves = exact_moves(mt.Augmentation(mt.Beta(0.7, 2.0), LAWS["HMix"]).seen(), x)
    model, residual = relu_network(x), torch.ones(6, 3, dtype=DTYPE)
    curvature = torch.eye(3, dtype=DTYPE).expand(6, 3, 3)
    route = route_for(model, x, moves, residual, curvature)
    assert route.method is by_gradients
    found = sums_along(model, x, moves, residual, curvature, route)
    other = sums_along(model, x, moves, residual, curvature, Route(by_reverse_mode, (10, 10)))
    assert not found.curves and found.gauss.sum() > 0
    assert_close(found.gauss.sum(), other.gauss.sum(), ALLOWED)
    few = exact_moves(mt.Augmentation(mt.Beta(0.7, 2.0), LAWS["Mixup"]).seen(), x)
    assert route_for(model, x, few, residual, curvature).method is by_jets
    assert route_for(model, x, few, residual, None).method is by_gradients
    assert route_for(network(x), x, moves, residual, curvature).method is by_jets


def test_gradients_of_a_network_that_does_not_bend(x):
    """In the parameters, through either route, and against the dense twin."""
    model, loss, moments = (
        relu_network(x),
        mt.losses.SoftmaxCrossEntropy(),
        mt.Augmentation(mt.Beta(0.7, 2.0), LAWS["HMix"]).seen(),
    )
    ours, theirs = (
        torch.autograd.grad(terms(model, loss, x, labels(x), moments).total, list(model.parameters()))
        for terms in (taylor_terms, dense_terms)
    )
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b, ALLOWED)


def test_float32_stays_float32(x):
    augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), LAWS["HMix"])
    model, loss, y = network(x.float()), mt.losses.SoftmaxCrossEntropy(), labels(x)
    single = taylor_terms(model, loss, x.float(), y.float(), augmentation.seen())
    double = taylor_terms(model.double(), loss, x, y, augmentation.seen())
    assert single.total.dtype == torch.float32
    assert_close(single.total.double(), double.total, rounding(torch.float32, 10.0, 1000))


def test_images_of_any_size():
    """224 x 224: no matrix of pixels is formed."""
    x = torch.randn(2, 224, 224, generator=torch.Generator().manual_seed(0))
    augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.CutMix((224, 224), sampler="inside"))
    model = nn.Sequential(nn.AvgPool2d(56), nn.Flatten(), nn.Linear(16, 3), nn.Softplus()).eval()
    found = mt.taylor_loss(model, mt.losses.SoftmaxCrossEntropy(), x, labels(x), augmentation, directions=16, seed=0)
    assert found.error > 0 and drawn_moves(augmentation, x, 16, 0).drifts.shape == (1, 2, 224**2)


@pytest.mark.parametrize(("options", "word"), [
    ({"directions": 3}, "directions"), ({"directions": 16.5}, "directions"),
    ({"directions": 32, "as_printed": True}, "as_printed"),
])  # fmt: skip
def test_bad_options_are_named(x, options, word):
    augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), LAWS["Mixup"])
    with pytest.raises((ValueError, TypeError), match=word):
        mt.taylor_loss(network(x), mt.losses.SoftmaxCrossEntropy(), x, labels(x), augmentation, **options)


def test_what_is_never_spread_is_not_cut():
    """Slopes behind the last activation are not computed where h'' is zero, and need no chunks."""
    x, residual = torch.randn(6, 24, dtype=DTYPE), torch.ones(6, 3, dtype=DTYPE)
    moves = exact_moves(
        mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.CutMix((4, 6), sampler="clip")).seen(), x.reshape(6, 4, 6)
    )
    shared = replace(moves, directions=moves.directions[:1])
    model, curvature = network(x), torch.eye(3, dtype=DTYPE).expand(6, 3, 3)
    assert route_for(model, x, shared, residual, None) == Route(by_jets, (0,))
    assert route_for(model, x, shared, residual, curvature) == Route(by_jets, (8,))
    without, with_all = sums_along(model, x, shared, residual, None), sums_along(model, x, shared, residual, curvature)
    assert without.gauss.sum() == 0 and with_all.gauss.sum() > 0
    assert_close(without.curved.sum(), with_all.curved.sum(), ALLOWED)
