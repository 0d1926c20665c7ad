"""Input gradients and Hessians of a network, a sample at a time, batched and chunked.

Plain and complete: the Jacobian (m, K, d) and the Hessian (m, d, d) of the outputs contracted with given
coefficients.  d is the size of one sample, all its axes flattened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.func import hessian, jacrev, vmap

from msda_theory._model import OutputShapeError, outputs
from msda_theory._written_out import differentiable

CHUNK_ELEMENTS = 2**22


#: words of torch's message, and what to do
ADVICE = (
    (
        ("batch norm", "batch_norm", "value per channel", "values per channel"),
        "its normalisation takes the statistics of the batch or updates a running mean, so that f(x) is not a function "
        "of x alone; call model.eval(), or pass training=False in torch.nn.functional",
    ),
    (
        ("inplace", "in-place"),
        "it writes in place, which torch's function transforms refuse; use out-of-place operations (z = z - mean for "
        "z -= mean, nn.ReLU(inplace=False)), and for normalisation that updates a buffer call model.eval()",
    ),
    (
        ("random operation",),
        "it draws random numbers, so that f(x) is not a function of x; call model.eval(), or pass training=False",
    ),
    (
        ("data-dependent control flow", "dynamic shape"),
        "it branches on, or indexes by, the values of x, which cannot be done a sample at a time; use torch.where",
    ),
)
GENERAL_ADVICE = (
    "torch cannot differentiate it a sample at a time; it must accept a batch of one and be twice differentiable"
)


class TransformRefusedError(RuntimeError):
    """torch's function transforms refuse an operation of the model; the message says what to do."""


def jacobian(model: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """df_k/dx_j at each sample: x (m, ...) to (m, K, d)."""
    with explained():
        derivative = vmap(jacrev(lambda sample: single(model, sample)), chunk_size=_chunk(x, x[0].numel()))
        return derivative(x).flatten(2)


def contracted_hessian(model: Callable[[Tensor], Tensor], x: Tensor, coefficients: Tensor) -> Tensor:
    """sum_k c_ik d^2 f_k / dx_j dx_l at each sample: x (m, ...), coefficients (m, K) to (m, d, d)."""
    size = x[0].numel()

    def contracted(sample: Tensor, weights: Tensor) -> Tensor:
        return (weights * single(model, sample)).sum()

    with explained():
        derivative = vmap(hessian(contracted), chunk_size=_chunk(x, size**2))
        return derivative(x, coefficients).reshape(len(x), size, size)


def single(model: Callable[[Tensor], Tensor], sample: Tensor) -> Tensor:
    """f of one sample, as a batch of one: (K,)."""
    return outputs(model, sample.unsqueeze(0))[0]


def _chunk(x: Tensor, elements: int) -> int:
    return min(len(x), max(1, CHUNK_ELEMENTS // elements))


@contextmanager
def explained() -> Iterator[None]:
    """Normalisation and attention in forms that have second derivatives; what torch refuses is said in words."""
    with refusals_explained(), differentiable():
        yield


@contextmanager
def refusals_explained() -> Iterator[None]:
    """What torch refuses is said in words."""
    try:
        yield
    except (OutputShapeError, torch.OutOfMemoryError):
        raise
    except (RuntimeError, ValueError) as error:
        raise TransformRefusedError(f"model: {_advice(str(error))}\ntorch said: {error}") from error


def _advice(message: str) -> str:
    text = message.lower()
    return next((advice for words, advice in ADVICE if any(word in text for word in words)), GENERAL_ADVICE)
