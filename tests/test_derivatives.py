"""Jacobians and Hessians against closed forms and differences; what torch refuses, and whether the advice works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from msda_theory import TransformRefusedError, derivatives
from msda_theory.derivatives import contracted_hessian, jacobian
from tests.helpers import Model, Quadratic, TanhNetwork, assert_close, inputs
from verify.tolerances import difference_quotient, rounding

SHAPES = [(3,), (2, 2), (2, 1, 2)]
STEP = 1e-3
ALLOWED = rounding(torch.float64, 50.0, 50)


def coefficients(samples: int, outputs: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(5).normal(size=(samples, outputs)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("outputs", [1, 3])
def test_tanh_network_by_hand(shape: tuple[int, ...], outputs: int) -> None:
    """f = V t + c, t = tanh(W x + b):  J = V diag(1-t^2) W,  sum_k c_k Hess f_k = W^T diag(-2 t (1-t^2) V^T c) W."""
    x, c, model = inputs(4, *shape), coefficients(4, outputs), TanhNetwork(shape, outputs)
    w, b, v = (p.detach().numpy() for p in (model.inner, model.bias, model.outer))
    slopes, curved = jacobian(model, x), contracted_hessian(model, x, c)
    assert slopes.shape == (4, outputs, 4 if len(shape) > 1 else 3)
    for i in range(4):
        t = np.tanh(w @ x[i].flatten().numpy() + b)
        assert_close(slopes[i], v @ np.diag(1 - t**2) @ w, ALLOWED, f"J at {i}")
        by_hand = w.T @ np.diag(-2 * t * (1 - t**2) * (v.T @ c[i].numpy())) @ w
        assert_close(curved[i], by_hand, ALLOWED, f"Hessian at {i}")


@pytest.mark.parametrize("shape", SHAPES)
def test_quadratic_by_hand(shape: tuple[int, ...]) -> None:
    x, c, model = inputs(4, *shape), coefficients(4, 2), Quadratic(shape, 2)
    q, s = model.curvature.detach(), model.slope.detach()
    assert_close(jacobian(model, x), torch.einsum("kde,ne->nkd", q, x.flatten(1)) + s, ALLOWED)
    assert_close(contracted_hessian(model, x, c), torch.einsum("nk,kde->nde", c, q), ALLOWED)


class Wiggle(nn.Module):
    """Not a network: products, a softmax over pixels and an exponential."""

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        weights = torch.softmax(flat, 1)
        return torch.stack([(weights * flat**2).sum(1), torch.sin(flat).prod(1) * torch.exp(-flat[:, 0])], 1)


def test_differences_at_two_steps() -> None:
    x, model, c = inputs(3, 2, 2), Wiggle(), coefficients(3, 2)
    basis = torch.eye(4, dtype=torch.float64).reshape(4, 2, 2)
    slopes, curved = jacobian(model, x), contracted_hessian(model, x, c)

    def contracted(z: Tensor) -> Tensor:
        return (c * model(z)).sum(1)

    scale = float(model(x).abs().max()) * 4
    for j, e in enumerate(basis):
        fine, coarse = (((model(x + h * e) - model(x - h * e)) / (2 * h)) for h in (STEP, 2 * STEP))
        for i, k in np.ndindex(3, 2):
            allowed = difference_quotient(float(fine[i, k]), float(coarse[i, k]), STEP, scale)
            assert_close(slopes[i, k, j], fine[i, k], allowed, f"J[{i}, {k}, {j}]")
        for q, g in enumerate(basis):
            fine, coarse = (mixed_difference(contracted, x, h * e, h * g) / (4 * h * h) for h in (STEP, 2 * STEP))
            for i in range(3):
                allowed = difference_quotient(float(fine[i]), float(coarse[i]), STEP, scale, order=2)
                assert_close(curved[i, j, q], fine[i], allowed, f"Hessian[{i}, {j}, {q}]")


def mixed_difference(f: Callable[[Tensor], Tensor], x: Tensor, e: Tensor, g: Tensor) -> Tensor:
    return f(x + e + g) - f(x + e - g) - f(x - e + g) + f(x - e - g)


def test_the_contraction_is_a_sum_over_outputs() -> None:
    x, model, c = inputs(4, 3), TanhNetwork((3,), 3), coefficients(4, 3)
    single = [contracted_hessian(model, x, torch.eye(3, dtype=torch.float64)[k].expand(4, 3)) for k in range(3)]
    summed = sum(c[:, k, None, None] * single[k] for k in range(3))
    assert_close(contracted_hessian(model, x, c), summed, ALLOWED)


def test_one_output_may_drop_its_axis() -> None:
    x, model = inputs(4, 3), TanhNetwork((3,))
    assert torch.equal(jacobian(lambda z: model(z)[:, 0], x), jacobian(model, x))


@pytest.mark.parametrize("elements", [1, 20, 10**9])
def test_chunks_do_not_change_the_value(monkeypatch: pytest.MonkeyPatch, elements: int) -> None:
    x, model, c = inputs(5, 2, 2), TanhNetwork((2, 2), 2), coefficients(5, 2)
    whole = jacobian(model, x), contracted_hessian(model, x, c)
    monkeypatch.setattr(derivatives, "CHUNK_ELEMENTS", elements)
    assert_close(jacobian(model, x), whole[0], ALLOWED)
    assert_close(contracted_hessian(model, x, c), whole[1], ALLOWED)


# -- what torch refuses


class Attention(nn.Module):
    """One head over the pixels; `fused` calls the kernel as networks do, (n, heads, pixels, width)."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.kind, self.embed, self.read = kind, nn.Linear(1, 8), nn.Linear(8, 2)
        self.heads = nn.MultiheadAttention(8, 2, batch_first=True)
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        z = self.embed(x.unsqueeze(-1))
        if self.kind == "fused":
            z = functional.scaled_dot_product_attention(*[z.unsqueeze(1)] * 3).squeeze(1)
        else:
            z = self.heads(z, z, z, need_weights=self.kind == "with-weights")[0]
        return self.read(z.mean(1))


class Encoder(Attention):
    def __init__(self) -> None:
        super().__init__("encoder")
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).double().eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.read(self.layer(self.embed(x.unsqueeze(-1))).mean(1))


class RunningMean(nn.Module):
    """Normalises in place with a buffer that it updates."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(4, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        self.mean += 0.1 * (x.mean(0) - self.mean)
        return (x - self.mean)[:, :2]


def in_a_buffer(x: Tensor) -> Tensor:
    out = torch.zeros(len(x), 2, dtype=x.dtype)
    out[:] = x[:, :2] ** 2
    return out


def batch_statistics(x: Tensor) -> Tensor:
    return functional.batch_norm(x, None, None, training=True)[:, :2]


def image_statistics(x: Tensor) -> Tensor:
    running = torch.zeros(1, dtype=x.dtype), torch.ones(1, dtype=x.dtype)
    return functional.batch_norm(x.reshape(-1, 1, 2, 2), *running, training=True).flatten(1)[:, :2]


REFUSED: list[tuple[Model, str]] = [
    (RunningMean(), "out-of-place"),
    (in_a_buffer, "out-of-place"),
    (batch_statistics, "model.eval()"),
    (image_statistics, "model.eval()"),
    (lambda x: functional.dropout(x, 0.5)[:, :2], "draws random numbers"),
    (lambda x: x[:, :2] if x.sum() > 0 else -x[:, :2], "torch.where"),
    (lambda x: x[:, :2] * x.sum().item(), "torch.where"),
    (lambda x: torch.from_numpy(x.detach().numpy())[:, :2], "twice differentiable"),
]
NAMES = ["buffer", "slice", "batch", "images", "dropout", "branch", "item", "numpy"]


@pytest.mark.parametrize(("model", "advice"), REFUSED, ids=NAMES)
def test_what_torch_refuses_gets_advice(model: Model, advice: str) -> None:
    """Some are refused at the second derivative only; torch's own words stay in the message."""
    x = inputs(3, 4)
    with pytest.raises(TransformRefusedError) as raised:
        jacobian(model, x)
        contracted_hessian(model, x, coefficients(3, 2))
    message = str(raised.value)
    assert message.startswith("model: ")
    assert advice in message
    assert "torch said: " in message
    assert raised.value.__cause__ is not None


@pytest.mark.parametrize("kind", ["fused", "without-weights", "with-weights", "encoder"])
def test_attention_and_layer_norm_in_their_mathematical_form(kind: str) -> None:
    """torch's fused attention has no second derivative; ours is that of the Jacobian, by differences."""
    model = Encoder() if kind == "encoder" else Attention(kind)
    x, c, e = inputs(3, 4), coefficients(3, 2), torch.eye(4, dtype=torch.float64)[1]
    curved = contracted_hessian(model, x, c)
    fine, coarse = (
        torch.einsum("nk,nkd->nd", c, jacobian(model, x + h * e) - jacobian(model, x - h * e)) / (2 * h)
        for h in (STEP, 2 * STEP)
    )
    assert_close(curved[:, 1], fine, difference_quotient(fine, coarse, STEP, 4.0))
    assert curved.abs().max() > 1e-4


def test_the_advice_for_normalisation_works() -> None:
    x = inputs(3, 4)
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 2)).double()
    with pytest.raises(TransformRefusedError, match=r"model\.eval\(\)"):
        jacobian(model, x)
    assert jacobian(model.eval(), x).shape == (3, 2, 4)


def centred(x: Tensor) -> Tensor:
    x -= x.mean(1, keepdim=True)
    return x[:, :2]


@contextmanager
def unchanged(x: Tensor) -> Iterator[None]:
    before = x.clone()
    yield
    assert torch.equal(x, before), "the model wrote into the user's x"


ACCEPTED: dict[str, tuple[Model, Model]] = {
    "centres its input in place": (centred, lambda x: (x - x.mean(1, keepdim=True))[:, :2]),
    "inplace ReLU first": (
        nn.Sequential(nn.ReLU(inplace=True), TanhNetwork((4,), 2)),
        nn.Sequential(nn.ReLU(), TanhNetwork((4,), 2)),
    ),
    "inplace ReLU later": (
        nn.Sequential(TanhNetwork((4,), 2), nn.ReLU(inplace=True)),
        nn.Sequential(TanhNetwork((4,), 2), nn.ReLU()),
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_in_place_on_a_copy_is_fine(name: str) -> None:
    """torch refuses these on the user's x; on a copy they are the same function as their out-of-place twins."""
    model, twin = ACCEPTED[name]
    x, c = inputs(3, 4) - 1, coefficients(3, 2)
    with unchanged(x):
        assert_close(jacobian(model, x), jacobian(twin, x), ALLOWED)
        assert_close(contracted_hessian(model, x, c), contracted_hessian(twin, x, c), ALLOWED)


def test_a_wrong_output_shape_is_not_called_a_refusal() -> None:
    with pytest.raises(ValueError, match=r"model: for inputs of shape \(1, 4\) it returned \(\)"):
        jacobian(lambda x: x.sum(), inputs(3, 4))
