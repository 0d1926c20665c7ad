"""Rules for what is not linear: activations by their derivatives, products by Leibniz."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.func import jvp, vmap

from msda_theory.jets._activations import derivatives
from msda_theory.jets._generic import Func, any_jet, as_jets, function_of_jets, generic, value_of
from msda_theory.jets._jet import Jet, JetRefusedError
from msda_theory.jets._linear import aligned, full


def elementwise(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    z, rest = args[0], args[1:]
    if not isinstance(z, Jet) or any_jet((rest, kwargs)):
        return generic(func, name, args, kwargs)
    value, first, second = derivatives(func, name, z.value, *rest, **_meaningful(kwargs))
    parts = z.parts * first
    parts[-1] += second * z.parts[:-1].square().sum(0)
    return Jet(value, parts)


def _meaningful(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Less those that functionals pass on though they are the usual ones."""
    usual = {"approximate": "none", "beta": 1, "threshold": 20, "inplace": False}
    return {k: v for k, v in kwargs.items() if usual.get(k) != v}


def piecewise_linear(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    z, rest = args[0], args[1:]
    if not isinstance(z, Jet) or any_jet((rest, kwargs)):
        return generic(func, name, args, kwargs)
    first = jvp(lambda u: func(u, *rest, **kwargs), (z.value,), (torch.ones_like(z.value),))[1]
    return Jet(func(z.value, *rest, **kwargs), z.parts * first)


def piecewise_map(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Maximum and its like: linear about the value; every part goes through the derivative."""
    g, jets, back = function_of_jets(func, args, kwargs)
    values = tuple(z.value for z in jets)
    parts = vmap(lambda *p: jvp(g, values, p)[1])(*(z.full_parts for z in jets))
    return as_jets(back, g(*values), parts)


def product(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Jet:
    a, b = args
    value = value_of(a) * value_of(b)
    if isinstance(a, Jet) and isinstance(b, Jet):
        return _leibniz(torch.mul, a, b, value)
    z, factor = (a, b) if isinstance(a, Jet) else (b, a)
    return Jet(value, full(aligned(z.parts, z, value) * factor, value))


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
    parts = vmap(lambda p: p @ b)(a.full_parts) if isinstance(a, Jet) else vmap(lambda p: a @ p)(b.full_parts)
    return Jet(value, parts)


def _leibniz(multiply: Func, a: Jet, b: Jet, value: Tensor) -> Jet:
    """(ab)' = a'b + ab', and the sum of a''b + 2a'b' + ab''."""
    left, right = a.full_parts, b.full_parts
    parts = vmap(multiply, (0, None))(left, b.value) + vmap(multiply, (None, 0))(a.value, right)
    cross = 2 * vmap(multiply)(left[:-1], right[:-1]).sum(0)
    return Jet(value, torch.cat([parts[:-1], (parts[-1] + cross).unsqueeze(0)]))


def forbidden(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    raise JetRefusedError(f"it takes {name}() of values that depend on x")
