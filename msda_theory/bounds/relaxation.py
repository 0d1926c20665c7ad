"""Certified upper bounds of the adversarial loss of a piecewise linear network, by interval arithmetic and by linear
relaxation; with an attack they enclose the truth.

Every loss of the class is convex in one output f, so its maximum over a ball is at most the larger of its values at the
two ends of an interval that holds f on the ball.  Between the layers, each unit's interval is the narrower of two:

    interval arithmetic (Gowal et al., 2018), from the intervals of the layer before;
    linear relaxation (CROWN, Zhang et al., 2018): on [l, u] a unit sigma(z) = max(z, a z), 0 <= a <= 1, lies above
    a chosen line through 0 and below its chord; lines are carried back to the input, where
    min_{|delta|_p <= eta} w . delta = -eta |w|_q.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from msda_theory._validation import require_data, require_kind
from msda_theory.bounds._ball import dual_norm, per_sample, require_norm
from msda_theory.losses import Logistic, Loss


def certified_adversarial(
    network: nn.Sequential,
    x: Tensor,
    y: Tensor,
    radius: float | Tensor,
    loss: Loss | None = None,
    *,
    norm: float = 2,
) -> Tensor:
    """Upper bounds (m,) of max_{|delta|_p <= radius} l(f(x_i + delta), y_i), up to rounding; p = 2 or inf.

    network: nn.Sequential (nested ones too) of Flatten, Linear, ReLU and LeakyReLU, with one output.  x (m, ...),
    y (m,) or (m, 1), radius a float or (m,); loss with h convex, Logistic() unless given.

    Raises TypeError for another network or layer, ValueError for more outputs, a radius <= 0, a norm other than 2 and
    inf, and a LeakyReLU slope outside [0, 1].
    """
    loss = Logistic() if loss is None else loss
    require_kind("loss", loss, Loss)
    require_data(x, y, least=1)
    require_norm(norm)
    sizes = per_sample(radius, x).unsqueeze(1)
    layers = _layers(network)
    with torch.no_grad():
        f = network(x)
        if f.shape != (len(x), 1):
            raise ValueError(f"network returned shape {tuple(f.shape)}: needed is one output a sample, ({len(x)}, 1)")
        labels = loss.prepare(y, f)
        low, high = _enclosed(layers, x.flatten(1), sizes, norm)
        return torch.maximum(loss(low, labels), loss(high, labels))


@dataclass(frozen=True)
class _Affine:
    weight: Tensor
    bias: Tensor

    def box(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        centre, half = (low + high) @ self.weight.T / 2 + self.bias, (high - low) @ self.weight.abs().T / 2
        return centre - half, centre + half

    def back(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """rows . (W z + b) as new rows . z, and a constant."""
        return rows @ self.weight, rows @ self.bias


@dataclass(frozen=True)
class _Kink:
    """max(z, leak z) on the boxes [low, high] (m, units)."""

    leak: float
    low: Tensor
    high: Tensor

    def __call__(self, z: Tensor) -> Tensor:
        return torch.maximum(z, self.leak * z)

    def back(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """A lower bound of rows . sigma(z) that is linear in z: the line below for entries > 0, the chord for < 0."""
        width = self.high - self.low
        chord = (self(self.high) - self(self.low)) / width.where(width > 0, 1.0)
        chord = torch.where(self.low >= 0, 1.0, torch.where(self.high <= 0, self.leak, chord))
        offset = self(self.low) - chord * self.low
        below = torch.ones_like(self.low).where(self.high > -self.low, self.leak)
        up, down = rows.clamp(min=0), rows.clamp(max=0)
        constant = (down * offset.unsqueeze(1)).sum(-1)
        return up * below.unsqueeze(1) + down * chord.unsqueeze(1), constant


def _layers(network: nn.Sequential) -> list[_Affine | float]:
    """The affine maps and the leaks of the activations, in order."""
    if not isinstance(network, nn.Sequential):
        raise TypeError(f"network is a {type(network).__name__}: needed is an nn.Sequential")
    found: list[_Affine | float] = []
    for name, layer in network.named_children():
        if isinstance(layer, nn.Sequential):
            found += _layers(layer)
        elif isinstance(layer, nn.Linear):
            weight = layer.weight.detach()
            found.append(_Affine(weight, weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach()))
        elif isinstance(layer, (nn.ReLU, nn.LeakyReLU)):
            found.append(_leak(name, layer))
        elif not (isinstance(layer, nn.Flatten) and (layer.start_dim, layer.end_dim) == (1, -1)):
            raise TypeError(
                f"network: layer {name!r} is {layer!r}: needed are Linear, ReLU, LeakyReLU and Flatten() of all axes"
            )
    return found


def _leak(name: str, layer: nn.ReLU | nn.LeakyReLU) -> float:
    leak = getattr(layer, "negative_slope", 0.0)
    if not 0 <= leak <= 1:
        raise ValueError(f"network: layer {name!r} has negative_slope={leak!r}: needed is a number in [0, 1]")
    return leak


def _enclosed(layers: list[_Affine | float], x: Tensor, radius: Tensor, norm: float) -> tuple[Tensor, Tensor]:
    """Intervals low, high (m, units) of the last layer's values over the balls about x (m, d); radius (m, 1)."""
    low, high = x - radius, x + radius
    passed: list[_Affine | _Kink] = []
    for layer in layers:
        if isinstance(layer, _Affine):
            passed.append(layer)
            low, high = layer.box(low, high)
            rows = torch.eye(len(layer.weight)).to(x).expand(len(x), -1, -1)
            low = torch.maximum(low, _lowest(passed, rows, x, radius, norm))
            high = torch.minimum(high, -_lowest(passed, -rows, x, radius, norm))
        else:
            kink = _Kink(layer, low, high)
            passed.append(kink)
            low, high = kink(low), kink(high)
    return low, high


def _lowest(passed: list[_Affine | _Kink], rows: Tensor, x: Tensor, radius: Tensor, norm: float) -> Tensor:
    """Lower bounds (m, k) of rows (m, k, units) . the values of the layers passed, over the balls."""
    constant = torch.zeros_like(rows[..., 0])
    for layer in reversed(passed):
        rows, added = layer.back(rows)
        constant = constant + added
    return (rows @ x.unsqueeze(-1)).squeeze(-1) + constant - radius * dual_norm(rows, norm)
