"""Rules for what is not linear: activations by their derivatives, products by Leibniz."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.func import jvp, vmap

from msda_theory.jets._activations import derivatives
from msda_theory.jets._generic import Func, any_jet, function_of_jets, generic, value_of
from msda_theory.jets._jet import Jet, JetRefusedError
from msda_theory.jets._linear import aligned, full, full_bend
from msda_theory.jets._slopes import Slopes


def elementwise(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    z, rest = args[0], args[1:]
    if not isinstance(z, Jet) or any_jet((rest, kwargs)):
        return generic(func, name, args, kwargs)
    value, first, second = derivatives(func, name, z.value, *rest, **_meaningful(kwargs))
    before = z.slopes
    bend = first * z.bend + second * before.get().square().sum(0)
    return Jet(value, Slopes(lambda: before.get() * first, shared=False), bend)


def _meaningful(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Less those that functionals pass on though they are the usual ones."""
    usual = {"approximate": "none", "beta": 1, "threshold": 20, "inplace": False}
    return {k: v for k, v in kwargs.items() if usual.get(k) != v}


def piecewise_linear(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    z, rest = args[0], args[1:]
    if not isinstance(z, Jet) or any_jet((rest, kwargs)):
        return generic(func, name, args, kwargs)
    first = jvp(lambda u: func(u, *rest, **kwargs), (z.value,), (torch.ones_like(z.value),))[1]
    value, before = func(z.value, *rest, **kwargs), z.slopes
    return Jet(value, Slopes(lambda: before.get() * first, shared=False), first * z.bend)


def piecewise_map(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Maximum and its like: linear about the value; slopes and bend go through the derivative."""
    g, jets, back = function_of_jets(func, args, kwargs)
    values = tuple(z.value for z in jets)
    slopes = vmap(lambda *v: jvp(g, values, v)[1])(*(z.full_slopes for z in jets))
    bends = jvp(g, values, tuple(z.full_bend for z in jets))[1]
    return back([Jet(*whole) for whole in zip(g(*values), map(Slopes.of, slopes), bends, strict=True)])


def product(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Jet:
    a, b = args
    value = value_of(a) * value_of(b)
    if isinstance(a, Jet) and isinstance(b, Jet):
        return _leibniz(torch.mul, a, b, value)
    z, factor = (a, b) if isinstance(a, Jet) else (b, a)
    before, axes = z.slopes, value.ndim - z.value.ndim
    slopes = Slopes(lambda: full(aligned(before.get(), axes) * factor, value), shared=False)
    return Jet(value, slopes, full_bend(z.bend * factor, value))


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
    before, shape = z.slopes, z.value.shape
    return Jet(value, Slopes(lambda: vmap(times)(before.expanded(shape)), shared=False), times(z.full_bend))


def _leibniz(multiply: Func, a: Jet, b: Jet, value: Tensor) -> Jet:
    """(ab)' = a'b + ab', and the sum of a''b + 2a'b' + ab''."""
    left, right, first, second = a.full_slopes, b.full_slopes, a.value, b.value
    bend = multiply(a.full_bend, b.value) + multiply(a.value, b.full_bend) + 2 * vmap(multiply)(left, right).sum(0)

    def slopes() -> Tensor:
        return vmap(multiply, (0, None))(left, second) + vmap(multiply, (None, 0))(first, right)

    return Jet(value, Slopes(slopes, shared=False), bend)


def forbidden(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    raise JetRefusedError(f"it takes {name}() of values that depend on x")
