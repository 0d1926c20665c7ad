"""The papers' networks: their published sizes, shapes, per-sample outputs, and what the library makes of them."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import msda_theory as mt
from msda_theory.expansions import taylor_terms
from tests.dense_twin import dense_terms
from tests.helpers import assert_close
from verify.networks import NETWORKS, preact_resnet18, small_convnet, wide_resnet
from verify.tolerances import monte_carlo, rounding

SMALL: dict[str, Callable[[], nn.Module]] = {
    "preact_resnet18": lambda: preact_resnet18(3, 2, 4),
    "wide_resnet": lambda: wide_resnet(3, 10, 1, 2),
    "small_convnet": lambda: small_convnet(3, 2, 4),
}
SHAPE = (2, 4, 4)
MASK = mt.masks.CutMix(SHAPE[1:], sampler="clip")


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_published_sizes() -> None:
    """He et al. and Zhang et al. (Mixup): 11.17 M; Zagoruyko and Komodakis, Table 4: 16-8 11.0 M, 28-10 36.5 M;
    28-2, as in Oliver et al. (2018): 1.5 M."""
    assert parameters(preact_resnet18(10)) == 11_172_170
    assert parameters(wide_resnet(10, 28, 2)) == 1_467_610
    assert parameters(wide_resnet(10, 16, 8)) == 10_961_370
    assert parameters(wide_resnet(10, 28, 10)) == 36_479_194


@pytest.mark.parametrize("name", NETWORKS)
def test_by_the_name_on_the_command_line(name: str) -> None:
    model = NETWORKS[name](7, 1, 9).eval()
    with torch.no_grad():
        assert model(torch.rand(2, 1, 9, 9)).shape == (2, 7)


def test_strides() -> None:
    """Three of the four stages halve the image: 32 x 32 ends as 4 x 4."""
    for model, side in ((preact_resnet18(3, 1, 2), 4), (wide_resnet(3, 10, 1, 1), 8)):
        assert model.eval().features(torch.rand(1, 1, 32, 32)).shape[-2:] == (side, side)


@pytest.fixture(params=SMALL)
def model(request: pytest.FixtureRequest) -> nn.Module:
    """In float64, its batch norms with statistics of their own."""
    torch.manual_seed(0)
    made = SMALL[request.param]().double()
    for _ in range(3):
        made(torch.rand(16, *SHAPE, dtype=torch.float64))
    return made.eval()


def images(m: int = 4) -> Tensor:
    return torch.rand(m, *SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_nothing_is_written_in_place(model: nn.Module) -> None:
    x = images()
    kept, state = x.clone(), copy.deepcopy(model.state_dict())
    model(x)
    assert torch.equal(x, kept)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert not any(getattr(module, "inplace", False) for module in model.modules())


def test_a_sample_does_not_see_its_batch(model: nn.Module) -> None:
    x = images()
    with torch.no_grad():
        alone = torch.cat([model(sample.unsqueeze(0)) for sample in x])
        assert_close(model(x), alone, rounding(torch.float64, 100.0, 100))


def test_terms_are_those_of_dense_jacobians_and_hessians(model: nn.Module) -> None:
    x, y, augmentation = images(3), torch.eye(3, dtype=torch.float64), mt.Augmentation(mt.Beta(1.0, 1.0), MASK)
    ours = taylor_terms(model, mt.losses.SoftmaxCrossEntropy(), x, y, augmentation.seen())
    theirs = dense_terms(model, mt.losses.SoftmaxCrossEntropy(), x, y, augmentation.seen())
    for term in ("standard", "r1", "r2", "r3"):
        expected = getattr(theirs, term).detach()
        assert_close(getattr(ours, term), expected, rounding(torch.float64, 1.0 + abs(float(expected)), 10_000))
    assert float(ours.r3.detach()) == 0 < float(ours.r2.detach())


def test_drawn_moves_agree_with_complete_ones(model: nn.Module) -> None:
    """One comparison a network, about the data and about the mean points."""
    augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), MASK)
    problem = model, mt.losses.SoftmaxCrossEntropy(), images(), torch.tensor([0, 1, 2, 0]), augmentation
    with pytest.warns(mt.ZeroHessianNotice):
        for expand in (mt.taylor_loss, mt.mean_point_loss):
            exact, drawn = expand(*problem), expand(*problem, directions=256, seed=1)
            assert abs(drawn.total - exact.total) <= monte_carlo(drawn.error, comparisons=6)
            assert drawn.error > 0 == exact.error


def test_bad_sizes() -> None:
    with pytest.raises(ValueError, match=r"depth=11: needed is 6 n \+ 4"):
        wide_resnet(10, 11, 1)
    with pytest.raises(ValueError, match=r"classes=0: needed is an integer >= 1"):
        preact_resnet18(0)
    with pytest.raises(ValueError, match=r"size=0: needed is an integer >= 1"):
        small_convnet(2, 1, 0)
