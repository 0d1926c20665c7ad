"""Jets through networks and single operations, against dense Hessians and finite differences."""

import gc
import weakref

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from msda_theory.derivatives import contracted_hessian, explained, jacobian
from msda_theory.jets import Jet, JetRefusedError, Propagated, Slopes, made, propagate
from msda_theory.jets._slopes import sum_of_squares
from tests.helpers import assert_close
from verify.tolerances import difference_quotient, rounding

DTYPE = torch.float64
ALLOWED = rounding(DTYPE, 10.0, 10_000)
SHAPE = (1, 8, 8)


class Residual(nn.Module):
    """Writes in place, adds its input."""

    def __init__(self, channels):
        super().__init__()
        self.a, self.b = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        out = F.silu(self.norm(self.a(x)), inplace=True)
        out = self.b(out)
        out += x
        return torch.tanh(out)


class Attention(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind, self.three, self.read = kind, nn.Linear(8, 24), nn.Linear(8, 3)
        self.heads, self.norm = nn.MultiheadAttention(8, 2, batch_first=True), nn.LayerNorm(8)

    def forward(self, x):
        z = x.view(x.size(0), -1, 8)
        if self.kind == "fused":
            z = F.scaled_dot_product_attention(*self.three(z).chunk(3, -1))
        else:
            z = z + self.heads(z, z, z, need_weights=self.kind == "weights")[0]
        z = self.norm(z)
        return self.read(F.gelu(z).mean(1)) / (1 + z.norm(dim=(1, 2)).unsqueeze(-1))


def networks():
    torch.manual_seed(0)
    encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu")
    conv = nn.Conv2d(1, 4, 3, padding=1)
    return {
        "mlp": nn.Sequential(nn.Flatten(), nn.Linear(64, 9), nn.Tanh(), nn.Linear(9, 16), nn.GELU(), nn.Linear(16, 3)),
        "relu": nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(inplace=True), nn.Linear(32, 3)),
        "residual": nn.Sequential(
            conv, nn.BatchNorm2d(4), nn.SiLU(), Residual(4), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3), nn.Softplus(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(4, 3),
        ),
        "group norm": nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.Sigmoid(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 3),
            nn.Softmax(-1),
        ),
        "instance norm": nn.Sequential(
            nn.Conv2d(1, 3, 3), nn.InstanceNorm2d(3, affine=True), nn.Mish(), nn.Flatten(), nn.Linear(108, 3)
        ),
        "attention, fused": Attention("fused"),
        "attention, heads": Attention("weights"),
        "attention, heads without weights": Attention("none"),
        "encoder": nn.Sequential(nn.Flatten(0, 1), encoder, nn.Flatten(), nn.Linear(64, 3)),
    }  # fmt: skip


@pytest.fixture(params=networks())
def network(request):
    return networks()[request.param].to(DTYPE).eval().requires_grad_(False)


@pytest.fixture(params=[1, 4], ids=["shared", "own"])
def directions(request):
    return torch.randn(5, request.param, *SHAPE, dtype=DTYPE, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def x():
    return torch.randn(4, *SHAPE, dtype=DTYPE, generator=torch.Generator().manual_seed(2))


def test_networks_against_dense_derivatives(network, x, directions):
    with explained(), torch.no_grad():
        found = propagate(network, x, directions)
    slopes, c = jacobian(network, x), torch.eye(3, dtype=DTYPE)
    moves = directions.expand(-1, 4, *SHAPE).flatten(2)
    assert_close(found.value, network(x), ALLOWED)
    assert_close(found.slopes, torch.einsum("mkd,smd->smk", slopes, moves), ALLOWED)
    for k in range(3):
        dense = contracted_hessian(network, x, c[k].expand(4, 3))
        assert_close(found.bend[:, k], torch.einsum("smd,mde,sme->m", moves, dense, moves), ALLOWED)


#: name: a function of z (m, 4, 6, 6)
OPERATIONS = {
    "layer_norm": lambda z: F.layer_norm(z, (6, 6)),
    "rms_norm": lambda z: F.rms_norm(z, (6,)),
    "batch_norm": lambda z: F.batch_norm(z, torch.ones(4, dtype=DTYPE), torch.full((4,), 2.0, dtype=DTYPE)) ** 2,
    "normalize": lambda z: F.normalize(z, dim=1),
    "log_softmax": lambda z: z.log_softmax(1),
    "logsumexp": lambda z: torch.logsumexp(z, -1),
    "product of jets": lambda z: z * z.flip(-1),
    "product with a constant that has more axes": lambda z: (z[:, 0, 0] * torch.ones(1, 6, dtype=DTYPE)) ** 3,
    "quotient": lambda z: (2 - z) / (1 + z**2) + 1 / (3 + z * z),
    "matmul": lambda z: z @ z.mT,
    "matmul with constants": lambda z: (torch.ones(2, 6, dtype=DTYPE) @ z @ torch.ones(6, 3, dtype=DTYPE)).sin(),
    "einsum": lambda z: torch.einsum("abcd,abed->abce", z, z.cos()),
    "cat and stack": lambda z: torch.stack([torch.cat([z, z.exp(), torch.ones_like(z[:, :1].value)], 1)] * 2, 1),
    "getitem, transpose, T": lambda z: z[:, 1:3].transpose(1, 2).mT.reshape(z.shape[0], -1).tanh(),
    "subtract, reverse subtract": lambda z: torch.sub(z, z.sin(), alpha=3) - (1 - z.cos()),
    "expand": lambda z: z.mean((2, 3), keepdim=True).expand(-1, -1, 6, 6) * z,
    "interpolate, pad": lambda z: F.pad(F.interpolate(z, scale_factor=2.0, mode="bilinear"), (1, 1)).exp(),
    "convolution and its transpose": lambda z: F.conv_transpose2d(
        F.conv2d(z, torch.ones(2, 4, 3, 3, dtype=DTYPE)).tanh(), torch.ones(2, 3, 2, 2, dtype=DTYPE)
    ),
    "var": lambda z: z.var(-1).sum(1) + z.std(1).mean(-1),
    "in place, after others used it": lambda z: _used_then_written(z.clone()),
    "in place": lambda z: z.clone().mul_(2).add_(z).tanh_(),
    "activations": lambda z: F.elu(z) + F.softplus(z, beta=2) + F.gelu(z, approximate="tanh") + F.celu(z, 0.5),
    "kinks": lambda z: F.leaky_relu(z, 0.1) * F.hardtanh(z, -2, 2) + z.abs() + z.clamp(min=-1),
    "largest": lambda z: z.amax(-1).sum(1) ** 2 + F.max_pool2d(z, 2).exp().sum((1, 2)).sum(-1, keepdim=True),
    "unbind, chunk": lambda z: sum(part.sin() for part in (*z.unbind(1), *(c[:, 0] for c in z.chunk(2, 1)))),
}


def _used_then_written(z):
    kept = z.tanh() + z[:, :1] * 2
    z.mul_(3)
    return kept * z


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_against_finite_differences(name):
    operation, draw = OPERATIONS[name], torch.Generator().manual_seed(3)
    z, moves = (torch.randn(n, 4, 6, 6, dtype=DTYPE, generator=draw) for n in (3, 6))
    moves, step = moves.unflatten(0, (2, 3)), 1e-3
    tensors = operation if name != "cat and stack" else _stacked
    with explained(), torch.no_grad():
        out = operation(Jet.start(z, moves))
    along = lambda t, v: tensors(z + t * v)  # noqa: E731
    fine, coarse = (
        sum((along(h, v) - 2 * along(0.0, v) + along(-h, v)) / h**2 for v in moves) for h in (step, 2 * step)
    )
    size = float(out.value.abs().max())
    assert_close(out.value, tensors(z), rounding(DTYPE, 1 + size, 100))
    assert_close(Propagated(out).bend, fine, difference_quotient(fine, coarse, step, 1 + size, order=2))


def _stacked(z):
    return torch.stack([torch.cat([z, z.exp(), torch.ones_like(z[:, :1])], 1)] * 2, 1)


def test_shared_directions_stay_shared_until_they_meet_the_samples():
    start = Jet.start(torch.randn(7, 1, 8, 8), torch.randn(3, 1, 1, 8, 8))
    first = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(18, 5))(start)
    assert made([first.slopes])[0].shape == (3, 1, 5) and first.value.shape == (7, 5)
    assert made([first.tanh().slopes])[0].shape == (3, 7, 5)
    assert made([first.tanh().slopes])[0].shape == (3, 7, 5)


@pytest.mark.parametrize("at_once", [1, 2, 5, 7])
def test_directions_a_few_at_a_time(network, x, directions, at_once):
    with torch.no_grad():
        whole, parts = (propagate(network, x, directions, n) for n in (None, at_once))
        for a, b in zip(whole.slopes_and_bend, parts.slopes_and_bend, strict=True):
            assert_close(b, a, ALLOWED)
        assert_close(parts.bend, whole.bend, ALLOWED)


def test_what_is_not_needed_is_not_made():
    """Slopes behind the last operation that bends are made for a sum of second derivatives by nobody."""
    asked = []

    def last(z):
        out = z @ torch.ones(5, 3)
        make = out.slopes.make
        out.slopes.make = lambda v: asked.append(len(v)) or make(v)
        return out

    found = propagate(lambda z: last(z.sin()), torch.randn(7, 5), torch.randn(4, 7, 5), 3)
    assert found.bend.shape == (7, 3) and not asked
    assert found.slopes.shape == (4, 7, 3) and asked == [3, 1]


def test_nothing_outlives_its_use():
    """Recipes that know one another would keep every chunk's tensors until Python looks for cycles."""
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1)).requires_grad_(False)
    directions = Slopes.of(torch.eye(3)[:, None])
    gc.collect()
    gc.disable()
    try:
        f = propagate(model, torch.ones(2, 3), directions, at_once=2)
        assert f.bend.shape == (2, 1)
        recipes, seen = [], [f.jet.bend]
        for recipe in seen:
            seen += recipe.parents
            recipes += [] if getattr(recipe, "shared", False) else [weakref.ref(recipe)]
        assert len(recipes) > 4
        del f, recipe, seen
        assert [recipe() for recipe in recipes] == [None] * len(recipes)
    finally:
        gc.enable()


@pytest.mark.parametrize("count", [0, 1, 4, 5])
def test_sums_of_squares(count):
    v = torch.arange(6.0 * count).view(count, 2, 3)
    assert torch.equal(sum_of_squares(v), (v * v).sum(0))


def test_networks_that_do_not_bend(x, directions):
    relu = nn.Sequential(nn.Conv2d(1, 2, 3), nn.LeakyReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 3))
    found = propagate(relu.to(DTYPE).eval(), x, directions)
    assert found.straight and not found.bend.any() and found.slopes.any()
    assert not propagate(lambda z: (z.flatten(1) ** 2)[:, :3], x, directions).straight


def test_differentiable_in_the_parameters():
    weight = torch.tensor([[0.3, -0.7]], dtype=DTYPE, requires_grad=True)
    x, v = torch.tensor([[0.2, 0.5]], dtype=DTYPE), torch.tensor([[[1.0, 2.0]]], dtype=DTYPE)
    propagate(lambda z: F.linear(z, weight).sin(), x, v).bend.sum().backward()
    u, s = weight.detach() @ x[0], weight.detach() @ v[0, 0]  # bend = -sin(u) s^2
    expected = -torch.cos(u) * s**2 * x[0] - 2 * torch.sin(u) * s * v[0, 0]
    assert_close(weight.grad[0], expected, ALLOWED)


REFUSED = {
    "branches": lambda z: z if z.sum() > 0 else -z,
    "bool": lambda z: z if bool(z.sum()) else -z,
    "item": lambda z: z * z.sum().item(),
    "numpy": lambda z: torch.from_numpy(z.numpy()),
    "detach": lambda z: z * z.detach(),
    "dropout": lambda z: F.dropout(z, 0.5),
    "batch statistics": lambda z: F.batch_norm(z, None, None, training=True),
    "attribute": lambda z: z * z.imag,
    "constant": lambda z: torch.ones(2, 3),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_passed_is_refused(name):
    with pytest.raises((JetRefusedError, RuntimeError)):
        propagate(REFUSED[name], torch.randn(2, 3), torch.randn(2, 2, 3))
