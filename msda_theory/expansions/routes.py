"""The ways in which a network is differentiated twice along directions, and which of them is taken.

Jets carry the derivatives through the network in about S + 2 forward passes of the batch for S directions.  A network
in which no operation bends (ReLU, affine) has no second derivatives, and where it has few outputs, their gradients give
all slopes: one backward pass an output.  Where the network has an operation that jets do not pass, or that torch
differentiates wrongly, reverse mode is taken twice, at two backward passes a direction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.func import grad, jacrev, vjp, vmap

from msda_theory._model import outputs
from msda_theory.derivatives import explained, refusals_explained, single
from msda_theory.expansions.moves import Directions, Moves
from msda_theory.jets import JetRefusedError, Propagated, Slopes, made, propagate, watched

#: bytes of the slopes that are made at once: what stays in a processor's cache, and keeps a device busy
CHUNK = {"cpu": 2**18, "cuda": 2**28}
#: samples that go together though their slopes are wider, and the bytes up to which they do
LEAST, LARGEST = 8, 2**24
#: directions that jets are to take at once: the fewer, the more samples go together; and where slopes are wider
TOGETHER, FEWEST = 4, 2
#: directions in a group where their slopes are never spread over the samples, and numbers of slopes that they share
UNSPREAD, SHARED = 4096, 2**20
#: what a backward pass costs, in forward passes
BACKWARD = 2

Model = Callable[[Tensor], Tensor]
#: of the model at x (m, ...), along directions (S, m or 1, ...), with the residual; whether the slopes are needed, and
#: how many directions go at once: to df[v_is] (S, m, K), of no meaning where not needed, and curved (m,)
Method = Callable[[Model, Tensor, Slopes, Tensor, bool, int | None], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Plan:
    """The samples in chunks, and how many directions go at once."""

    chunks: list[slice]
    at_once: int


@dataclass(frozen=True)
class Route:
    """How a network is differentiated, and, for each of the moves' directions, how many numbers its widest slopes have
    for a sample and a direction: 0 where they are the same for all samples as far as they are needed.
    """

    method: Method
    widths: tuple[int, ...]

    def groups(self, moves: Moves) -> list[tuple[Directions, slice, int]]:
        """The groups of directions, and the width of each."""
        width_of = {id(some): width for some, width in zip(moves.directions, self.widths, strict=True)}

        def largest(directions: Directions) -> int:
            """More where no slopes are spread over the samples, or gradients serve all; and, of shared directions, as
            many as fit, since a narrow layer leaves few of them."""
            if moves.drawn or self.method is by_reverse_mode:
                return 0
            if self.method is by_gradients or not any(self.widths):
                return UNSPREAD
            return SHARED // max(1, width_of[id(directions)]) if directions.factor is None else 0

        return [(each, some, width_of[id(each)]) for each, some in moves.groups(largest)]

    def plan(self, x: Tensor, directions: int, width: int) -> Plan:
        together = min(directions, TOGETHER) if self.method is by_jets else directions
        parts = chunks(x, max(1, together * width))
        samples = -(-len(x) // len(parts))
        return Plan(parts, max(FEWEST, _budget(x) // max(1, samples * width)))

    def gradient(self, model: Model, x: Tensor, weights: Tensor) -> Tensor:
        """Of the outputs, weighted by (m, K), at each sample: as x."""
        if self.method is not by_reverse_mode:
            return _gradients(model, x, [weights])[0]
        with explained():
            return vmap(lambda sample, some: pull(model, some)(sample))(x, weights)


def by_jets(
    model: Model, x: Tensor, directions: Slopes, residual: Tensor, needed: bool, at_once: int | None
) -> tuple[Tensor, Tensor]:
    """In collapsed Taylor mode."""
    with refusals_explained():
        return _read(propagate(model, x, directions, at_once), residual, needed)


def _read(f: Propagated, residual: Tensor, needed: bool) -> tuple[Tensor, Tensor]:
    slopes, bend = f.slopes_and_bend if needed else (f.value.new_zeros(()), f.bend)
    return slopes, (bend * residual).sum(-1)


def by_gradients(
    model: Model, x: Tensor, directions: Slopes, residual: Tensor, needed: bool, at_once: int | None
) -> tuple[Tensor, Tensor]:
    """Where nothing bends: no second derivatives, and the slopes by the outputs' gradients."""
    none = x.new_zeros(len(x))
    if not needed:
        return none, none
    (moves,), units = made([directions]), torch.eye(residual.shape[1]).to(residual)
    gradient = torch.stack(_gradients(model, x, [unit.expand_as(residual) for unit in units]), 1)
    return torch.einsum("smd,mkd->smk", moves.flatten(2).expand(-1, len(x), -1), gradient.flatten(2)), none


def _gradients(model: Model, x: Tensor, weights: Sequence[Tensor]) -> list[Tensor]:
    """Of the outputs with each of the weights (m, K), at all samples in one pass: where an output depends on its own
    sample alone, as jets have found out.
    """
    with explained():
        back = vjp(lambda at: outputs(model, at), x)[1]
        return [back(some)[0] for some in weights]


def by_reverse_mode(
    model: Model, x: Tensor, directions: Slopes, residual: Tensor, needed: bool, at_once: int | None
) -> tuple[Tensor, Tensor]:
    """Differentiating backwards twice: slower, and for every network that torch can differentiate so."""

    def one(sample: Tensor, moves: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        def curved(v: Tensor) -> Tensor:
            return (grad(lambda s: (pull(model, weights)(s) * v).sum())(sample) * v).sum()

        slopes = jacrev(lambda s: single(model, s))(sample)
        return torch.tensordot(moves.flatten(1), slopes.flatten(1).T, 1), vmap(curved)(moves).sum()

    (moves,) = made([directions])
    with explained():
        slopes, curved = vmap(one, (0, 1, 0), (1, 0))(x, moves.expand(len(moves), *x.shape), residual)
    return slopes, curved


def pull(model: Model, weights: Tensor) -> Callable[[Tensor], Tensor]:
    """The gradient of the outputs, weighted, at one sample."""
    return grad(lambda sample: (weights * single(model, sample)).sum())


def route_for(model: Model, x: Tensor, moves: Moves, residual: Tensor, curvature: Tensor | None) -> Route:
    """By jets where they pass the network, and along a few directions at two samples give what reverse mode gives for
    each alone: not where a sample's output depends on its batch, or torch's forward mode is wrong.  By gradients where
    such a network does not bend and they are cheaper.
    """
    two = slice(0, 2)
    needed = curvature is not None or moves.labels is not None
    few = [images(directions, two, x)(two) for directions in moves.directions]
    passages = [_passage(model, x[two], some, residual[two].detach(), needed) for some in few]
    found = [passage for passage in passages if passage is not None]
    if len(found) < len(passages):
        return Route(by_reverse_mode, (x[0].numel(),) * len(passages))
    backward = BACKWARD * residual.shape[1] * len(moves.groups(lambda _: 0 if moves.drawn else UNSPREAD))
    if all(passage.straight for passage in found) and (not needed or backward < sum(map(len, moves.directions))):
        return Route(by_gradients, tuple(_gradient_width(len(some), x, residual) for some in moves.directions))
    return Route(by_jets, tuple(passage.width for passage in found))


@dataclass(frozen=True)
class _Passage:
    """Of jets through a network: their widest slopes, and whether nothing bends."""

    width: int
    straight: bool


def _passage(model: Model, x: Tensor, directions: Slopes, residual: Tensor, needed: bool) -> _Passage | None:
    """None where jets disagree with reverse mode; `needed`: the slopes of the outputs."""
    if not len(made([directions])[0]):
        return _Passage(0, straight=True)
    with torch.no_grad(), watched() as widths:
        try:
            with refusals_explained():
                f = propagate(model, x, directions)
                ours = _read(f, residual, needed)
            width = max(widths, default=0)
            theirs = by_reverse_mode(model, x, directions, residual, needed, None)
        except (JetRefusedError, RuntimeError, TypeError, AttributeError, NotImplementedError):
            return None
    allowed = torch.finfo(x.dtype).eps ** 0.5
    pairs = list(zip(ours, theirs, strict=True))[0 if needed else 1 :]
    agree = (bool((a - b).abs().max() <= allowed * (1e-6 + b.abs().max())) for a, b in pairs)
    return _Passage(width, f.straight) if all(agree) else None


def _gradient_width(directions: int, x: Tensor, residual: Tensor) -> int:
    """Gradients of all outputs and slopes, shared out among the directions."""
    outputs = residual.shape[1]
    return outputs * (1 + -(-x[0].numel() // max(1, directions)))


def images(directions: Directions, some: slice, x: Tensor) -> Callable[[slice], Slopes]:
    """Of some rows of x, some directions in the shape of x; those that are shared are the same object for all rows."""
    if directions.factor is None:
        shared = Slopes.of(directions.of(slice(0, 1), some).unflatten(-1, x.shape[1:]))
        return lambda rows: shared
    return lambda rows: Slopes.of(directions.of(rows, some).unflatten(-1, x.shape[1:]))


def chunks(x: Tensor, numbers: int) -> list[slice]:
    """The samples in chunks of about the same size, with so many numbers a sample."""
    least = min(LEAST, LARGEST // (numbers * x.element_size()))
    count = -(-len(x) // max(_budget(x) // numbers, least, 1))
    edges = [len(x) * k // count for k in range(count + 1)]
    return [slice(*ends) for ends in pairwise(edges)]


def _budget(x: Tensor) -> int:
    return CHUNK.get(x.device.type, CHUNK["cpu"]) // x.element_size()
