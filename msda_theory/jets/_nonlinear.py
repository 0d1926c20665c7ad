"""Rules for what is not linear: activations by their derivatives, products by Leibniz."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.func import jvp, vmap

from msda_theory.jets._activations import derivatives
from msda_theory.jets._generic import Func, any_jet, function_of_jets, generic, value_of
from msda_theory.jets._jet import Jet, JetRefusedError
from msda_theory.jets._linear import aligned, full
from msda_theory.jets._slopes import Bend, Slopes, Total


def elementwise(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    z, rest = args[0], args[1:]
    if not isinstance(z, Jet) or any_jet((rest, kwargs)):
        return generic(func, name, args, kwargs)
    value, first, second = derivatives(func, name, z.value, *rest, **_meaningful(kwargs))
    bend = Bend(lambda q, *b: second * q + sum(first * v for v in b), (z.slopes.squares(), *filter(None, [z.bend])))
    return Jet(value, z.slopes.times(first), bend)


def _meaningful(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Less those that functionals pass on though they are the usual ones."""
    usual = {"approximate": "none", "beta": 1, "threshold": 20, "inplace": False}
    return {k: v for k, v in kwargs.items() if usual.get(k) != v}


def piecewise_linear(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    z, rest = args[0], args[1:]
    if not isinstance(z, Jet) or any_jet((rest, kwargs)):
        return generic(func, name, args, kwargs)
    first = jvp(lambda u: func(u, *rest, **kwargs), (z.value,), (torch.ones_like(z.value),))[1]
    value = func(z.value, *rest, **kwargs)
    return Jet(value, z.slopes.times(first), z.bent(lambda b: first * b))


def piecewise_map(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Maximum and its like: linear about the value; slopes and bend go through the derivative."""
    g, jets, back = function_of_jets(func, args, kwargs)
    values = tuple(z.value for z in jets)
    straight = all(z.bend is None for z in jets)

    def image(k: int, value: Tensor) -> Jet:
        def linear(*v: Tensor) -> Tensor:
            return jvp(lambda *u: g(*u)[k], values, v)[1]

        bend = None if straight else Bend(linear, tuple(z.full_bend for z in jets))
        return Jet(value, Slopes(vmap(linear), tuple(z.full_slopes for z in jets)), bend)

    return back([image(k, value) for k, value in enumerate(g(*values))])


def product(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Jet:
    a, b = args
    value = value_of(a) * value_of(b)
    if isinstance(a, Jet) and isinstance(b, Jet):
        return _leibniz(torch.mul, a, b, value)
    z, factor = (a, b) if isinstance(a, Jet) else (b, a)
    axes = value.ndim - z.value.ndim
    slopes = Slopes(lambda v: full(aligned(v, axes) * factor, value), (z.slopes,))
    return Jet(value, slopes, z.bent(lambda v: (v * factor).expand(value.shape)))


def quotient(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    a, b = reversed(args) if name == "rtruediv" else args
    if isinstance(b, Jet):
        return a * b.reciprocal()
    return product(func, name, (a, 1 / b), kwargs)


def matrix_product(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    a, b = reversed(args) if name == "rmatmul" else args
    if value_of(a).ndim < 2 or value_of(b).ndim < 2:
        return generic(func, name, args, kwargs)
    value = value_of(a) @ value_of(b)
    if isinstance(a, Jet) and isinstance(b, Jet):
        return _leibniz(torch.matmul, a, b, value)
    z, times = (a, lambda v: v @ b) if isinstance(a, Jet) else (b, lambda v: a @ v)
    return Jet(value, z.full_slopes.then(vmap(times), None), z.fully_bent(times))


def _leibniz(multiply: Func, a: Jet, b: Jet, value: Tensor) -> Jet:
    """(ab)' = a'b + ab', and the sum of a''b + 2a'b' + ab''."""
    first, second, along = a.value, b.value, (a.full_slopes, b.full_slopes)
    crossed = Total(lambda v, w: vmap(multiply)(v, w).sum(0), along)

    def slopes(v: Tensor, w: Tensor) -> Tensor:
        return vmap(multiply, (0, None))(v, second) + vmap(multiply, (None, 0))(first, w)

    def bend(both: Tensor, v: Tensor, w: Tensor) -> Tensor:
        return multiply(v, second) + multiply(first, w) + 2 * both

    return Jet(value, Slopes(slopes, along), Bend(bend, (crossed, a.full_bend, b.full_bend)))


def forbidden(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    raise JetRefusedError(f"it takes {name}() of values that depend on x")
