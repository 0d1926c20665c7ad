"""Each error names the argument, the value and what is needed, and comes before any work is done."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import msda_theory as mt
from msda_theory import NotEnumerableError, ToleranceError, masks
from msda_theory.losses import Logistic, Poisson, SoftmaxCrossEntropy, Squared
from tests.helpers import TanhNetwork, inputs

NAN, INF = float("nan"), float("inf")
ENTRIES: list[Callable[..., object]] = [mt.exact_loss, mt.taylor_loss, mt.compare]
every_entry = pytest.mark.parametrize("entry", ENTRIES, ids=lambda f: f.__name__)


def says(error: type[Exception], words: Sequence[str], call: Callable[[], object]) -> None:
    """`call` raises the error, and its message holds all the words."""
    with pytest.raises(error) as raised:
        call()
    missing = [word for word in words if word not in str(raised.value)]
    assert not missing, f"{missing} not in: {raised.value}"


# -- laws

BETA = [(0, "a=0"), (0.0, "a=0.0"), (-1.0, "a=-1.0"), (NAN, "a=nan"), (INF, "a=inf"), (np.float64(-2), "-2.0")]


@pytest.mark.parametrize(("value", "named"), BETA)
def test_beta_parameters(value: float, named: str) -> None:
    says(ValueError, [named, "needed is a finite number > 0"], lambda: mt.Beta(value, 1.0))
    says(ValueError, [named.replace("a=", "b="), "> 0"], lambda: mt.Beta(1.0, value))


@pytest.mark.parametrize("value", ["1", None, [1.0], 1j])
def test_beta_parameters_that_are_no_numbers(value: object) -> None:
    says(TypeError, ["a is ", "needed is a finite number > 0"], lambda: mt.Beta(value, 1.0))  # type: ignore[arg-type]


LAWS: list[tuple[Callable[[], object], type[Exception], list[str]]] = [
    (lambda: mt.Discrete((1.5,), (1.0,)), ValueError, ["values=1.5", "[0, 1]"]),
    (lambda: mt.Discrete((NAN,), (1.0,)), ValueError, ["values=nan", "[0, 1]"]),
    (lambda: mt.Discrete((0.5,), (0.9,)), ValueError, ["weights=(0.9,)", "sum to one"]),
    (lambda: mt.Discrete((0.5, 0.6), (1.5, -0.5)), ValueError, ["weights=(1.5, -0.5)", "non-negative"]),
    (lambda: mt.Discrete((0.5,), (NAN,)), ValueError, ["weights=(nan,)", "sum to one"]),
    (lambda: mt.Discrete((0.5,), (0.5, 0.5)), ValueError, ["weights has 2 entries, values has 1"]),
    (lambda: mt.Discrete((), ()), ValueError, ["weights has 0 entries", "at least one"]),
    (lambda: mt.Mixture((1.0,), ()), ValueError, ["weights has 1 entries, components has 0"]),
    (lambda: mt.Mixture((0.4, 0.4), (mt.Beta(1, 1),) * 2), ValueError, ["weights=(0.4, 0.4)", "sum to one"]),
    (lambda: mt.Mixture((1.0,), (0.5,)), TypeError, ["components is 0.5", "needed is a RatioLaw"]),
    (lambda: masks.Mixup(()), ValueError, ["shape=()", "positive integers"]),
    (lambda: masks.Mixup((0,)), ValueError, ["shape=(0,)", "positive integers"]),
    (lambda: masks.Mixup((2.0,)), ValueError, ["shape=(2.0,)", "positive integers"]),
    (lambda: masks.Mixup(2), TypeError, ["shape=2", "positive integers, as in (2,)"]),
    (lambda: masks.CutMix(8, sampler="clip"), TypeError, ["shape=8", "2 positive integers, as in (H, W)"]),
    (lambda: masks.CutMix((8,), sampler="clip"), ValueError, ["shape=(8,)", "2 positive integers, as in (H, W)"]),
    (lambda: masks.CutMix((3, 8, 8), sampler="clip"), ValueError, ["shape=(3, 8, 8)", "as in (H, W)"]),
    (lambda: masks.GMix((8, -8), kernel="printed"), ValueError, ["shape=(8, -8)", "positive integers"]),
    (lambda: masks.Stochastic((8,), sampler="clip"), ValueError, ["shape=(8,)", "as in (H, W)"]),
    (lambda: masks.CutMix((8, 8), sampler="Clip"), ValueError, ["sampler='Clip'", *map(repr, masks.SAMPLERS)]),
    (lambda: masks.HMix((8, 8), r=0.5, sampler="x"), ValueError, ["sampler='x'", "'inside'"]),
    (lambda: masks.Stochastic((8, 8), sampler=""), ValueError, ["sampler=''", "'torus'"]),
    (lambda: masks.GMix((8, 8), kernel="paper"), ValueError, ["kernel='paper'", "'printed', 'released'"]),
    (lambda: masks.HMix((8, 8), r=1.5, sampler="clip"), ValueError, ["r=1.5", "[0, 1]"]),
    (lambda: masks.HMix((8, 8), r=-0.1, sampler="clip"), ValueError, ["r=-0.1", "[0, 1]"]),
    (lambda: masks.HMix((8, 8), r=NAN, sampler="clip"), ValueError, ["r=nan", "[0, 1]"]),
    (lambda: masks.HMix((8, 8), r="a", sampler="clip"), TypeError, ["r is 'a'", "[0, 1]"]),
    (lambda: masks.Stochastic((8, 8), q=2, sampler="clip"), ValueError, ["q=2", "[0, 1]"]),
    (lambda: masks.Mixup((2,)).mean("half"), TypeError, ["ratio is 'half'", "[0, 1]"]),
    (lambda: masks.Mixup((2,)).mean(torch.tensor([0.5, 0.5])), TypeError, ["ratio is a Tensor", "[0, 1]"]),
    (lambda: masks.Mixup((2,)).sample(0.5), TypeError, ["ratio (float)", "floating tensor (n,)"]),
    (lambda: masks.Mixup((2,)).sample(torch.tensor([0, 1])), TypeError, ["torch.int64", "floating tensor (n,)"]),
    (lambda: masks.Mixup((2,)).sample(torch.ones(2, 2)), TypeError, ["shape (2, 2)", "floating tensor (n,)"]),
    (lambda: mt.Augmentation(mt.Beta(1, 1), masks.Mixup((2,)), "mean"), ValueError, ["label='mean'", "'realised'"]),
]  # fmt: skip


@pytest.mark.parametrize(("make", "error", "words"), LAWS, ids=[" ".join(words)[:50] for _, _, words in LAWS])
def test_laws(make: Callable[[], object], error: type[Exception], words: list[str]) -> None:
    says(error, words, make)


# -- problems


class MustNotRun(nn.Module):
    """A model for input that must be refused before it is called."""

    def forward(self, x: Tensor) -> Tensor:
        raise AssertionError("the model was called")


@dataclass
class Problem:
    """A good problem; each case changes what it names."""

    model: Any = field(default_factory=lambda: TanhNetwork((3, 4)))
    loss: Any = field(default_factory=Logistic)
    x: Any = field(default_factory=lambda: inputs(4, 3, 4))
    y: Any = field(default_factory=lambda: torch.tensor([0.0, 1.0, 1.0, 0.0], dtype=torch.float64))
    augmentation: Any = field(
        default_factory=lambda: mt.Augmentation(mt.Beta(1.0, 1.0), masks.CutMix((3, 4), sampler="inside"))
    )

    def given_to(self, entry: Callable[..., object], **options: object) -> object:
        return entry(self.model, self.loss, self.x, self.y, self.augmentation, **options)


def spoiled(value: float, *index: int) -> Tensor:
    x = inputs(4, 3, 4)
    x[index] = value
    return x


Y = torch.tensor([0.0, 1.0, 1.0, 0.0], dtype=torch.float64)
BOX = masks.CutMix((4, 3), sampler="inside")

# refused before the model is called
DATA: list[tuple[str, dict[str, Any], type[Exception], list[str]]] = [
    ("nan in x", {"x": spoiled(NAN, 2, 1, 3)}, ValueError, ["x has 1 entry", "(nan) at (2, 1, 3)", "finite"]),
    ("inf in x", {"x": spoiled(-INF, 0, 0, 0)}, ValueError, ["x has 1 entry", "(-inf) at (0, 0, 0)", "finite"]),
    ("nan in y", {"y": Y * NAN}, ValueError, ["y has 4 entries", "(nan) at (0,)", "finite"]),
    ("inf in y", {"y": Y / 0}, ValueError, ["y has 4 entries", "finite"]),
    ("lengths", {"y": Y[:3]}, ValueError, ["x holds 4 samples", "y has shape (3,)", "one label a sample"]),
    ("one number as y", {"y": torch.tensor(1.0)}, ValueError, ["x holds 4 samples", "y has shape ()", "one label"]),
    ("one sample", {"x": inputs(1, 3, 4), "y": Y[:1]}, ValueError, ["x holds 1 sample", "at least two"]),
    ("no sample", {"x": inputs(1, 3, 4)[:0], "y": Y[:0]}, ValueError, ["x holds 0 sample", "at least two"]),
    ("mask shape", {"augmentation": mt.Augmentation(mt.Beta(1, 1), BOX)}, ValueError,
     ["x has shape (4, 3, 4)", "shape (4, 3)", "(m, ..., 4, 3)"]),
    ("flat images", {"x": inputs(4, 12)}, ValueError, ["x has shape (4, 12)", "shape (3, 4)"]),
    ("no batch axis", {"x": inputs(3, 4)[0]}, ValueError, ["x has shape (4,)", "(m, ..., 3, 4)"]),
    ("numpy x", {"x": np.zeros((4, 3, 4))}, TypeError, ["x is a ndarray", "torch.Tensor"]),
    ("list y", {"y": [0, 1, 1, 0]}, TypeError, ["y is a list", "torch.Tensor"]),
    ("integer x", {"x": torch.ones(4, 3, 4, dtype=torch.int64)}, TypeError, ["x has dtype torch.int64", "x.double()"]),
    ("complex x", {"x": torch.ones(4, 3, 4, dtype=torch.complex64)}, TypeError, ["torch.complex64", "floating"]),
    ("loss class", {"loss": Logistic}, TypeError, ["loss is the class Logistic", "needed is a Loss"]),
    ("loss function", {"loss": torch.nn.functional.mse_loss}, TypeError, ["loss is a function", "needed is a Loss"]),
    ("mask alone", {"augmentation": BOX}, TypeError, ["augmentation is a CutMix", "needed is an Augmentation"]),
]  # fmt: skip


@every_entry
@pytest.mark.parametrize(("changed", "error", "words"), [case[1:] for case in DATA], ids=[case[0] for case in DATA])
def test_data_are_checked_before_the_model_is_called(
    entry: Callable[..., object], changed: dict[str, Any], error: type[Exception], words: list[str]
) -> None:
    says(error, words, lambda: Problem(model=MustNotRun(), **changed).given_to(entry))


LABELS: list[tuple[Any, Tensor, int, list[str]]] = [
    (Logistic(), Y + 0.5, 1, ["y lies in [0.5, 1.5]", "Logistic()", "labels in [0, 1]"]),
    (Logistic(), Y - 1, 1, ["y lies in [-1, 0]", "labels in [0, 1]"]),
    (Poisson(), -Y, 1, ["y lies in [-1, -0]", "Poisson()", "labels >= 0"]),
    (SoftmaxCrossEntropy(), 2 * Y, 2, ["y lies in [0, 2]", "integers in 0..1"]),
    (SoftmaxCrossEntropy(), torch.stack([Y, Y], 1), 2, ["rows sum to 0 .. 2", "sum to one"]),
    (SoftmaxCrossEntropy(), Y, 1, ["outputs have shape (4, 1)", "K >= 2", "Logistic()"]),
    (Squared(), Y, 2, ["outputs have shape (4, 2) and y (4,)", "one label an output"]),
    (Squared(), torch.stack([Y, Y], 1), 1, ["outputs have shape (4, 1) and y (4, 2)", "one label an output"]),
    (Squared(), Y.reshape(4, 1, 1), 1, ["y (4, 1, 1)", "one label an output"]),
]


@every_entry
@pytest.mark.parametrize(("loss", "y", "outputs", "words"), LABELS)
def test_labels_that_the_loss_does_not_allow(
    entry: Callable[..., object], loss: Any, y: Tensor, outputs: int, words: list[str]
) -> None:
    problem = Problem(model=TanhNetwork((3, 4), outputs), loss=loss, y=y)
    says(ValueError, words, lambda: problem.given_to(entry))


OUTPUTS: list[tuple[Callable[[Tensor], object], list[str]]] = [
    (lambda x: x, ["model: for inputs of shape (4, 3, 4) it returned (4, 3, 4)", "(4,) or (4, K)"]),
    (lambda x: x.sum(), ["it returned ()", "(4,) or (4, K)"]),
    (lambda x: x[:2].sum((1, 2)), ["it returned (2,)", "(4,) or (4, K)"]),
    (lambda x: (x, x), ["it returned tuple", "(4,) or (4, K)"]),
    (lambda x: x.sum((1, 2)) * NAN, ["the model's outputs", "NaN or inf", "(nan) at (0, 0)"]),
]


@every_entry
@pytest.mark.parametrize(("model", "words"), OUTPUTS)
def test_outputs_that_do_not_fit(entry: Callable[..., object], model: Any, words: list[str]) -> None:
    says(ValueError, words, lambda: Problem(model=model).given_to(entry))


def train_mode(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(12, 1)).double().train()


class WithInside(nn.Module):
    def __init__(self, inside: nn.Module) -> None:
        super().__init__()
        self.inside, self.body = inside, TanhNetwork((3, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


TRAINING = [
    (train_mode(nn.BatchNorm1d(12)), "BatchNorm1d '1'"),
    (train_mode(nn.SyncBatchNorm(12)), "SyncBatchNorm '1'"),
    (train_mode(nn.Dropout(0.1)), "Dropout '1'"),
    (train_mode(nn.AlphaDropout(0.1)), "AlphaDropout '1'"),
    (WithInside(nn.Sequential(nn.BatchNorm2d(3))), "BatchNorm2d 'inside.0'"),
    (WithInside(nn.MultiheadAttention(4, 2, dropout=0.1)), "MultiheadAttention 'inside'"),
    (WithInside(nn.LSTM(4, 4, num_layers=2, dropout=0.1)), "LSTM 'inside'"),
]


@every_entry
@pytest.mark.parametrize(("model", "named"), TRAINING, ids=[named for _, named in TRAINING])
def test_train_mode(entry: Callable[..., object], model: nn.Module, named: str) -> None:
    """Refused, with the module's name; in eval mode all is well, and the mode is left as it was."""
    problem = Problem(model=model.train())
    says(ValueError, [f"model: {named} is in train mode", "call model.eval() first"], lambda: problem.given_to(entry))
    assert model.training
    Problem(model=model.eval()).given_to(entry)


def test_random_slopes() -> None:
    says(ValueError, ["RReLU '1' is in train mode"], lambda: Problem(train_mode(nn.RReLU())).given_to(mt.exact_loss))
    Problem(train_mode(nn.RReLU()).eval()).given_to(mt.exact_loss)


def test_train_mode_without_chance_is_fine() -> None:
    model = WithInside(nn.Sequential(nn.LayerNorm(4), nn.MultiheadAttention(4, 2), nn.LSTM(4, 4))).train()
    Problem(model=model).given_to(mt.exact_loss)


# -- options of the exact loss

OPTIONS: list[tuple[dict[str, Any], type[Exception], list[str]]] = [
    ({"method": "montecarlo"}, ValueError, ["method='montecarlo'", "'enumerate', 'linear', 'sobol', 'monte-carlo'"]),
    ({"rtol": 0.0}, ValueError, ["rtol=0.0", "> 0"]),
    ({"rtol": -1e-6}, ValueError, ["rtol=-1e-06", "> 0"]),
    ({"rtol": NAN}, ValueError, ["rtol=nan", "> 0"]),
    ({"rtol": "1e-6"}, TypeError, ["rtol is '1e-6'", "> 0"]),
    ({"samples": 63, "method": "sobol"}, ValueError, ["samples=63", "integer >= 64", "standard error"]),
    ({"samples": 1, "method": "monte-carlo"}, ValueError, ["samples=1", "integer >= 2", "standard error"]),
    ({"samples": 1e4, "method": "monte-carlo"}, ValueError, ["samples=10000.0", "integer >= 2"]),
]


@pytest.mark.parametrize(("options", "error", "words"), OPTIONS)
def test_options(options: dict[str, Any], error: type[Exception], words: list[str]) -> None:
    says(error, words, lambda: Problem(model=MustNotRun()).given_to(mt.exact_loss, **options))


def test_a_tolerance_that_cannot_be_met() -> None:
    augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), masks.Mixup((2,)))
    x = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
    problem = Problem(lambda v: (v[:, 0] - 0.3).abs(), Logistic(), x, Y[:2], augmentation)
    words = ["rtol=1e-15 cannot be met for the exact loss", "512 nodes", "ask for rtol >= "]
    says(ToleranceError, words, lambda: problem.given_to(mt.exact_loss, rtol=1e-15))


def test_too_large_an_enumeration() -> None:
    """2^16 masks and 1000 samples: 6.6e10 evaluations; and 2^25 masks, which are not even listed."""
    x, y = inputs(1000, 16), Y.repeat(250)
    needs = {16: ["needs 6.6e+10 evaluations", "2.1e+09", " s at the ", "sobol"], 25: ["3.4e+07 masks of 25 pixels"]}
    for size, words in needs.items():
        augmentation = mt.Augmentation(mt.Discrete((0.5,), (1.0,)), masks.Bernoulli((size,)))
        problem = Problem(TanhNetwork((size,)), Logistic(), inputs(1000, size) if size > 16 else x, y, augmentation)
        says(NotEnumerableError, ["Bernoulli", "monte-carlo", *words], lambda p=problem: p.given_to(mt.exact_loss))


def test_a_loss_that_overflows() -> None:
    """e^f of the mixed inputs is inf where the outputs themselves are finite."""
    problem = Problem(model=lambda x: 1e4 * x.abs().sum((1, 2)), loss=Poisson())
    says(ValueError, ["the exact loss is inf", "Poisson()", "overflow"], lambda: problem.given_to(mt.exact_loss))


@pytest.mark.parametrize("message", [words[0] for _, _, words in LAWS])
def test_the_words_are_not_empty(message: str) -> None:
    assert re.search(r"\w", message)
