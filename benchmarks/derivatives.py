"""python benchmarks/derivatives.py: what second derivatives along the moves of the samples cost, in forward passes.

The unit is the network's own forward pass of the same batch.  All times are minima over several rounds in which every
contender takes its turn, on one thread.  The sum over directions of (h' - y) . d^2 f[v, v] is taken for each sample:
by jets (ours), by reverse mode one Hessian-vector product a direction (our fallback), by forward mode nested twice a
direction, and from the dense Hessian.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

if __name__ == "__main__":
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # numpy and torch read them when they are first imported
    sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn
from torch.func import jvp, vmap
from torch.profiler import profile

from benchmarks.measuring import Result, run, seconds
from msda_theory.derivatives import contracted_hessian
from msda_theory.expansions.along import sums_along
from msda_theory.expansions.moves import Directions, Moves
from msda_theory.expansions.routes import Route, by_reverse_mode, route_for

ROUNDS = 7
SAMPLES, IMAGES = 256, 32
WIDTH, LAYER_SIZES = 128, (64, 256, 1024)
#: of the one hidden layer, whose product with S directions, shared by the batch, costs S / m passes
LAYER_SAMPLES = LAYER_SIZES[-1]
MLP, CNN, LAYER = "tanh MLP 64-128-128-1, 64 directions", "CNN on 3 x 32 x 32, 16 directions", "one hidden layer, d = "
PIXELS = 784  # of MNIST's images
TARGET_PASSES, TARGET_SPEEDUP, TARGET_BYTES, TARGET_A_DIRECTION, TARGET_GROWTH = 50.0, 6.0, 2**20, 1.25, 1.5


@dataclass(frozen=True)
class Problem:
    """A network, a batch, the directions and the residual that contracts the outputs."""

    name: str
    model: nn.Module
    x: Tensor
    directions: Tensor
    residual: Tensor

    def moves(self) -> Moves:
        flat = self.directions.flatten(1)
        return Moves(flat[:0], (Directions(flat, None, self.x.flatten(1)),))

    def route(self) -> Route:
        return route_for(self.model, self.x, self.moves(), self.residual, None)

    def along(self, route: Route) -> Tensor:
        """The mean over the samples as the library takes it, chunk by chunk."""
        return sums_along(self.model, self.x, self.moves(), self.residual, None, route).curved.sum()

    def dense(self) -> Tensor:
        """From the d x d Hessian of each sample."""
        flat = self.directions.flatten(1)
        hessian = contracted_hessian(self.model, self.x, self.residual)
        return torch.einsum("sd,mde,se->m", flat, hessian, flat).mean()

    def nested(self) -> Tensor:
        """Forward mode twice a direction."""

        def along(v: Tensor) -> Tensor:
            towards = v.expand_as(self.x)

            def slope(at: Tensor) -> Tensor:
                found: Tensor = jvp(self.model, (at,), (towards,))[1]
                return found

            return (self.residual * jvp(slope, (self.x,), (towards,))[1]).sum(-1)

        with torch.enable_grad():
            return vmap(along, chunk_size=8)(self.directions).sum(0).mean()


@dataclass(frozen=True)
class Row:
    problem: str
    way: str
    dtype: str
    passes: float
    a_direction: float
    kilobytes: float
    error: float


def problems(dtype: torch.dtype) -> Iterator[Problem]:
    yield _problem(MLP, _mlp(64, WIDTH, WIDTH, 1), (64,), SAMPLES, 64, dtype)
    convolutions = (nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 32, 3, 2, 1), nn.Conv2d(32, 64, 3, 2, 1))
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    cnn = nn.Sequential(*(layer for c in convolutions for layer in (c, nn.SiLU())), *head)
    yield _problem(CNN, cnn, (3, 32, 32), IMAGES, 16, dtype)
    narrowed = f"tanh MLP {PIXELS}-{WIDTH}-{WIDTH}-1, {PIXELS} directions"
    yield _problem(narrowed, _mlp(PIXELS, WIDTH, WIDTH, 1), (PIXELS,), SAMPLES, PIXELS, dtype)
    for size in LAYER_SIZES:
        yield _problem(f"{LAYER}{size}, {size} directions", _mlp(size, WIDTH, 1), (size,), LAYER_SAMPLES, size, dtype)


def _mlp(*widths: int) -> nn.Sequential:
    layers = [layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.Tanh())]
    return nn.Sequential(*layers[:-1])


def _problem(
    name: str, model: nn.Module, shape: tuple[int, ...], samples: int, directions: int, dtype: torch.dtype
) -> Problem:
    draw = torch.Generator().manual_seed(0)
    x, moves = (torch.randn(n, *shape, generator=draw, dtype=torch.float64).to(dtype) for n in (samples, directions))
    model = model.to(dtype).eval().requires_grad_(False)
    residual = torch.randn(samples, *model(x).shape[1:], generator=draw, dtype=torch.float64).to(dtype)
    return Problem(name, model, x, moves, residual)


def ways(problem: Problem) -> dict[str, Callable[[], Tensor]]:
    ours, backwards = problem.route(), Route(by_reverse_mode, (problem.x[0].numel(),))
    chosen = {"jets": lambda: problem.along(ours), "reverse mode": lambda: problem.along(backwards)}
    if not problem.name.startswith(LAYER):
        chosen["nested forward mode"] = problem.nested
    if problem.name == MLP:
        chosen["vmap(hessian)"] = problem.dense
    return chosen if problem.name in (MLP, CNN) else {"jets": chosen["jets"]}


@torch.no_grad()
def measure(problem: Problem, rounds: int) -> list[Row]:
    """Least time of each way over the rounds, in units of the least time of a forward pass."""
    chosen, forward = ways(problem), lambda: problem.model(problem.x)
    best, least = dict.fromkeys(chosen, float("inf")), float("inf")
    for _ in track(range(rounds), problem.name, console=Console(stderr=True), disable=not sys.stderr.isatty()):
        for way, compute in chosen.items():
            least = min(least, *(seconds(forward) for _ in range(5)))
            best[way] = min(best[way], seconds(compute))
    unit, dtype = least, str(problem.x.dtype).removeprefix("torch.")
    precise = in_double(problem)
    return [
        Row(
            problem.name,
            way,
            dtype,
            best[way] / unit,
            best[way] / unit / len(problem.directions),
            memory(compute) / 2**10,
            float(abs(compute().double() / precise - 1)),
        )
        for way, compute in chosen.items()
    ]


def in_double(problem: Problem) -> Tensor:
    """The number that all ways compute, by reverse mode in float64."""
    x, directions, residual = (v.double() for v in (problem.x, problem.directions, problem.residual))
    double = Problem(problem.name, problem.model.double(), x, directions, residual)
    value = double.along(Route(by_reverse_mode, (x[0].numel(),)))
    problem.model.to(problem.x.dtype)
    return value


def memory(compute: Callable[[], object]) -> float:
    """The most bytes of tensors that were alive at once, beside those that were there before."""
    with profile(profile_memory=True) as found:
        compute()
    total = peak = 0
    for event in found.profiler.kineto_results.events():  # type: ignore[union-attr]
        if event.name() == "[memory]":
            total += event.nbytes()
            peak = max(peak, total)
    return peak


def verdicts(rows: list[Row]) -> list[str]:
    """Each target beside what was measured."""
    sentences = []
    for dtype in dict.fromkeys(row.dtype for row in rows):
        here = {(row.problem, row.way): row for row in rows if row.dtype == dtype}
        mlp, cnn = here[MLP, "jets"], here[CNN, "jets"]
        speedup = here[MLP, "vmap(hessian)"].passes / mlp.passes
        layers = [row.passes for (name, _), row in here.items() if name.startswith(LAYER)]
        sentences += [
            _held(f"MLP, {dtype}: {mlp.passes:.1f} forward passes", mlp.passes, TARGET_PASSES, "<="),
            _held(f"MLP, {dtype}: {speedup:.1f} times faster than vmap(hessian)", speedup, TARGET_SPEEDUP, ">="),
            _held(f"MLP, {dtype}: {mlp.kilobytes:.0f} KiB beside the data", mlp.kilobytes, TARGET_BYTES / 2**10, "<="),
            _held(f"CNN, {dtype}: {cnn.a_direction:.2f} a direction", cnn.a_direction, TARGET_A_DIRECTION, "<="),
            _held(
                f"one hidden layer, {dtype}: {layers[0]:.1f} forward passes at d = {LAYER_SIZES[0]} and "
                f"{layers[-1]:.1f} at d = {LAYER_SIZES[-1]}, ratio {layers[-1] / layers[0]:.2f}",
                layers[-1] / layers[0],
                TARGET_GROWTH,
                "<=",
            ),
        ]
    return sentences


def _held(text: str, value: float, target: float, sign: str) -> str:
    met = value <= target if sign == "<=" else value >= target
    return f"{text}, target {sign} {target:g}: {'met' if met else 'not met'}"


def result(rounds: int) -> Result:
    torch.manual_seed(0)
    rows = [row for dtype in (torch.float32, torch.float64) for p in problems(dtype) for row in measure(p, rounds)]
    return Result(
        "Second derivatives along directions, in forward passes of the batch",
        ("network", "way", "dtype", "passes", "a direction", "KiB", "relative error"),
        [
            (
                row.problem,
                row.way,
                row.dtype,
                f"{row.passes:.1f}",
                f"{row.a_direction:.2f}",
                f"{row.kilobytes:.0f}",
                f"{row.error:.1e}",
            )
            for row in rows
        ],
        verdicts(rows),
        [asdict(row) for row in rows],
        (
            f"{SAMPLES} samples ({IMAGES} images, {LAYER_SAMPLES} for one hidden layer, where the weights' product",
            "with the directions is shared by the batch).  KiB: tensors alive at once beside the data.  The errors are",
            f"those of rounding, against reverse mode in float64.  Behind a layer of {WIDTH} units no more are left",
            f"than {WIDTH} of the directions that the samples share.",
        ),
    )


def main(arguments: list[str] | None = None) -> int:
    return run("derivatives", __doc__, ROUNDS, result, arguments)


if __name__ == "__main__":
    sys.exit(main())
