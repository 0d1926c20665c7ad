"""python benchmarks/exact.py: what the fast exact losses save, each against its naive twin in the same run.

Affine models: the time of all pair sums, in units of one exponential a pair and ratio.  Two coordinates: evaluations of
the network, the grid's against those of the enumeration at the same accuracy.  Images: variance times evaluations (and
times seconds) of plain Monte Carlo in units of that of Sobol points with their controls.  One thread; times are minima
of the processor's, the two contenders in turn.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

if __name__ == "__main__":
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # numpy and torch read them when they are first imported
    sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.measuring import Result, run
from benchmarks.small_networks import Convolutions, Layers, trained
from msda_theory import Augmentation, Beta, Discrete, exact_loss, masks
from msda_theory.exact import ExactLoss, enumeration_cost, pair_loss
from msda_theory.exact_linear import PairSums, affine_parts
from msda_theory.losses import Logistic, SoftmaxCrossEntropy
from msda_theory.training import ExactObjective, GridObjective
from verify.problems import digits, fit, network, standard_objective, two_moons

Found = TypeVar("Found")
UNIFORM = Beta(1.0, 1.0)
SAMPLES = (200, 1000, 4000)
RATIOS, ROUNDS = 16, 15
NODES = {"logistic": 32, "mlp-tanh": 56, "mlp-relu": 56}
MOONS, ORDERS, FINEST = 200, (8, 16, 32, 64), 192
IMAGES, DRAWS, SEEDS, STEPS = 200, 2**15, 6, 500
SHAPE = (8, 8)
LINEAR, GRID, GAIN, NO_LOSS = 0.05, 3000.0, 5.0, 0.95
ACCURACY = {"affine": 1e-12, "grid": 1e-7}
WHY = (
    "`affine`: seconds of ours, seconds of one exponential a pair and ratio, ours over naive, relative error",
    "against the plain sum.  Ours grows with the samples and naive with their square.  For Mixup the sums over the",
    "samples serve all ratios, and below some 800 samples what shows is a hundred calls, more than half a millisecond.",
    "Every box needs sums of its own, 70 to 100 ns a sample and box against 1.6 ns a pair: 0.05 takes about a thousand",
    "samples here, and more as the outputs spread and with them the nodes.",
    "`grid`: evaluations of the network for one value and its error, those of the enumeration to 1e-7, naive over",
    "ours, relative error against 192 nodes of the ratio; `one rule` is the fewest evaluations at 8, 16, 32, 64 nodes",
    "that are off by 1e-7 or less, which is known only afterwards.  A kink (ReLU) leaves an error of about 1/nodes^2:",
    "there is no target, and the enumeration is to 1e-5.  `sobol`: standard errors of ours and of Monte Carlo with",
    "as many draws, and the gain in variance times evaluations (ours with the passes for gradients at the samples),",
    "good to a tenth.  In seconds, a small network pays for points, masks and the controls.",
)


@dataclass(frozen=True)
class Row:
    """ours and naive in the part's unit; `ratio` of ours to naive for "affine", else of naive to ours."""

    part: str
    case: str
    ours: float
    naive: float
    ratio: float
    error: float
    note: str
    target: float | None


def linear_rows(rounds: int) -> Iterator[Row]:
    """Ours over `RATIOS` nodes of the ratio against as many exponentials of m^2 numbers."""
    for m in SAMPLES:
        yield linear_row(f"Mixup, {m} two-moons", *two_moons(m), masks.Mixup((2,)), rounds)
    for m in SAMPLES[1:]:
        x, y = digits(m)
        yield linear_row(f"CutMix, {len(x)} digits", x, (y > 4).double(), masks.CutMix(SHAPE, sampler="inside"), rounds)


def linear_row(case: str, x: Tensor, y: Tensor, mask: masks.MaskLaw, rounds: int) -> Row:
    loss, labels = Logistic(), y.unsqueeze(-1)
    model = fit(network("logistic", tuple(x.shape[1:]), 1), standard_objective(loss, x, y, weight_decay=1e-2), steps=20)
    augmentation = Augmentation(UNIFORM, mask)
    with torch.no_grad():
        weight, bias, _ = affine_parts(model, x, loss, labels)
        table = augmentation.table(1 if augmentation.exact_in_ratio else RATIOS)
        buffer = torch.full((len(x) ** 2,), -1e3, dtype=torch.float64)
        seconds, each = fastest(
            rounds,
            lambda: PairSums(loss, x, labels, weight, bias, 1e-12).over(table),
            lambda: torch.exp(buffer, out=buffer),
        )
        naive = len(table) * each
        one = Augmentation(Discrete((0.3,), (1.0,)), mask).table(1)
        few = len(one) if len(x) ** 2 * len(one) < 2**25 else 1
        one = type(one)(one.masks[:few], one.first[:few], one.second[:few])
        ours, twin = PairSums(loss, x, labels, weight, bias, 1e-12).over(one), pair_loss(model, loss, x, labels, one)
    error = abs(ours[0] - float(twin)) / ours[1]
    return Row("affine", case, seconds, naive, seconds / naive, error, "seconds", LINEAR)


def fastest(rounds: int, *contenders: Callable[[], object]) -> list[float]:
    """The least processor time of each, in turn and three times in a row: the first finds the caches of another."""
    times = [[min(seconds_of(run)[1] for _ in range(3)) for run in contenders] for _ in range(rounds)]
    return [min(column) for column in zip(*times, strict=True)]


def seconds_of(run: Callable[[], Found]) -> tuple[Found, float]:
    start = time.process_time()
    found = run()
    return found, time.process_time() - start


def grid_rows() -> Iterator[Row]:
    x, y = two_moons(MOONS)
    loss, augmentation = Logistic(), Augmentation(UNIFORM, masks.Mixup((2,)))
    grids = {name: GridObjective(loss, x, y, augmentation, nodes=nodes) for name, nodes in NODES.items()}
    some = ExactObjective(loss, x[::4], y[::4], augmentation, order=4)
    tables = {order: augmentation.table(order) for order in (*ORDERS, FINEST)}
    cases = [
        ("logistic", 0, True),
        ("mlp-tanh", 0, True),
        ("mlp-tanh", 1, True),
        ("mlp-tanh", 0, False),
        ("mlp-relu", 0, True),
    ]
    for name, seed, mixed in cases:
        objective = some if mixed else standard_objective(loss, x, y, weight_decay=1e-3)
        model = fit(network(name, (2,), 1, seed=seed), objective, steps=60)
        with torch.no_grad():
            values = {
                order: float(pair_loss(model, loss, x, y.unsqueeze(-1), table)) for order, table in tables.items()
            }
        truth = values[FINEST]
        smooth = name != "mlp-relu"
        naive = exact_loss(model, loss, x, y, augmentation, rtol=1e-7 if smooth else 1e-5)
        grid = grids[name]
        found = grid.exact(model)
        rules = [MOONS**2 * order for order in ORDERS if abs(values[order] - truth) <= 1e-7 * abs(truth)]
        error, reported = abs(found.value - truth) / abs(truth), found.error / abs(truth)
        note = f"error said to be {reported:.0e}; one rule {min(rules, default=np.nan):,}"
        case = f"{name} {seed}, {'Mixup' if mixed else 'weight decay'}"
        gain = naive.evaluations / len(grid)
        yield Row("grid", case, len(grid), naive.evaluations, gain, error, note, GRID if smooth else None)


def sobol_rows() -> Iterator[Row]:
    x, y = digits(IMAGES)
    laws = {
        "Mixup": masks.Mixup(SHAPE),
        "CutMix": masks.CutMix(SHAPE, sampler="inside"),
        "HMix": masks.HMix(SHAPE, r=0.5, sampler="inside"),
        "GMix": masks.GMix(SHAPE, kernel="printed"),
        "Stochastic": masks.Stochastic(SHAPE, sampler="clip"),
        "Bernoulli": masks.Bernoulli(SHAPE),
    }
    for kind in (Layers, Convolutions):
        plain = trained(kind, x.float(), y, None, STEPS)
        for name, law in laws.items():
            augmentation = Augmentation(UNIFORM, law)
            yield sobol_row(
                f"{kind.__name__}, {name}",
                trained(kind, x.float(), y, augmentation, STEPS),
                x.float(),
                y,
                augmentation,
                GAIN,
            )
            if name in ("Mixup", "CutMix", "Bernoulli"):
                yield sobol_row(f"{kind.__name__}, none, {name} loss", plain, x.float(), y, augmentation, NO_LOSS)


def sobol_row(case: str, model: nn.Module, x: Tensor, y: Tensor, augmentation: Augmentation, target: float) -> Row:
    loss = SoftmaxCrossEntropy()

    def run(method: str, seed: int) -> tuple[ExactLoss, float]:
        return seconds_of(lambda: exact_loss(model, loss, x, y, augmentation, method=method, samples=DRAWS, seed=seed))

    def cost(runs: tuple[tuple[ExactLoss, float], ...]) -> tuple[float, float, float]:
        """Mean square of the standard error times evaluations, and times seconds; and the standard error."""
        variance = float(np.mean([found.error**2 for found, _ in runs]))
        return variance * runs[0][0].evaluations, variance * min(seconds for _, seconds in runs), variance**0.5

    pairs = [(run("sobol", seed), run("monte-carlo", seed)) for seed in range(SEEDS)]
    ours, naive = map(cost, zip(*pairs, strict=True))
    note = f"gain in seconds {naive[1] / ours[1]:.2f}"
    return Row("sobol", case, ours[2], naive[2], naive[0] / ours[0], ours[2], note, target)


def verdicts(rows: list[Row]) -> list[str]:
    """Each target beside what was measured."""
    sentences = []
    for row in rows:
        if row.target is not None:
            less = row.part == "affine"
            met = row.ratio <= row.target if less else row.ratio >= row.target
            met &= row.part == "sobol" or row.error <= ACCURACY[row.part]
            bound = f"target {'<=' if less else '>='} {row.target:g}"
            sentences.append(f"{row.part}, {row.case}: {row.ratio:.3g}, {bound}: {'met' if met else 'not met'}")
    return sentences


def enumeration_line() -> str:
    x, _ = digits(IMAGES)
    cutmix = Augmentation(UNIFORM, masks.CutMix(SHAPE, sampler="inside"))
    evaluations, seconds = enumeration_cost(Convolutions().eval(), x.float(), cutmix)
    return f"Every box of CutMix and pair of {IMAGES} digits: {evaluations:.2g} evaluations, {seconds:.2g} s expected."


def result(rounds: int) -> Result:
    rows = [*linear_rows(rounds), *grid_rows(), *sobol_rows()]
    return Result(
        "The fast exact losses and their naive twins",
        ("part", "case", "ours", "naive", "ratio", "error", "note"),
        [(r.part, r.case, f"{r.ours:.3g}", f"{r.naive:.3g}", f"{r.ratio:.3g}", f"{r.error:.0e}", r.note) for r in rows],
        verdicts(rows),
        [asdict(row) for row in rows],
        (*WHY, enumeration_line()),
    )


def main(arguments: list[str] | None = None) -> int:
    return run("exact", __doc__, ROUNDS, result, arguments)


if __name__ == "__main__":
    sys.exit(main())
