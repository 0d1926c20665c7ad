"""Rules for linear and affine operations: every part goes along by itself."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.func import vmap
from torch.nn import functional

from msda_theory.jets._generic import Func, any_jet, arguments_of, generic, generic_jet, value_of
from msda_theory.jets._jet import Jet, JetRefusedError
from msda_theory.jets._operations import BATCH_FIRST


def linear_map(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    z, rest = args[0], args[1:]
    if not isinstance(z, Jet) or any_jet((rest, kwargs)):
        return generic(func, name, args, kwargs)
    value = func(z.value, *rest, **kwargs)
    if name == "flatten" and rest and rest[0] >= 1:
        parts = func(z.parts, rest[0] + 1, *[n + 1 if n >= 0 else n for n in rest[1:]], **kwargs)
    elif name in BATCH_FIRST:
        parts = _folded(lambda p: func(p, *rest, **kwargs), z.parts)
    else:
        parts = vmap(lambda p: func(p, *rest, **kwargs))(z.full_parts)
    if isinstance(value, Tensor):
        return Jet(value, parts)
    return type(value)(Jet(v, p) for v, p in zip(value, parts, strict=True))


def affine(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Jet:
    """x W^T + b."""
    z, weight, bias = arguments_of(("input", "weight", "bias"), args, kwargs)
    if not isinstance(z, Jet) or any_jet((weight, bias)):
        return generic_jet(func, args, kwargs)
    return Jet(functional.linear(z.value, weight, bias), functional.linear(z.parts, weight))


def convolution(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Jet:
    z, weight, bias, *rest = arguments_of(("input", "weight", "bias"), args, kwargs)
    options = {k: v for k, v in kwargs.items() if k not in ("input", "weight", "bias")}
    if not isinstance(z, Jet) or any_jet((weight, bias)):
        return generic_jet(func, args, kwargs)
    value = func(z.value, weight, bias, *rest, **options)
    return Jet(value, _folded(lambda p: func(p, weight, None, *rest, **options), z.parts))


def batch_norm(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Jet:
    """In eval mode: (z - mean) weight / sqrt(var + eps) + bias."""
    names = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
    z, mean, var, weight, bias, training, momentum, eps = arguments_of(
        names, args, kwargs, (None, None, False, 0.1, 1e-5)
    )
    if training or mean is None:
        raise JetRefusedError("its batch norm takes the statistics of the batch")
    value = functional.batch_norm(z.value, mean, var, weight, bias, False, momentum, eps)
    none = torch.zeros_like(mean)
    return Jet(
        value, _folded(lambda p: functional.batch_norm(p, none, var, weight, None, False, momentum, eps), z.parts)
    )


def total(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Jet:
    a, b = args
    value = func(value_of(a), value_of(b), **kwargs)
    factors = {"rsub": (-1, 1), "sub": (1, -1)}.get(name, (1, 1))
    scale = kwargs.get("alpha", 1)
    terms = [
        factor * power * aligned(z.parts, z, value)
        for z, factor, power in zip((a, b), factors, (1, scale), strict=True)
        if isinstance(z, Jet)
    ]
    return Jet(value, full(terms[0] + terms[1] if len(terms) == 2 else terms[0], value))


def concatenation(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Jet:
    tensors, rest = args[0], args[1:]
    value = func([value_of(z) for z in tensors], *rest, **kwargs)
    count = len(next(z for z in tensors if isinstance(z, Jet)).parts)
    parts = [z.full_parts if isinstance(z, Jet) else z.new_zeros(count, *z.shape) for z in tensors]
    return Jet(value, vmap(lambda *p: func(list(p), *rest, **kwargs))(*parts))


def identity(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    _, p, training = arguments_of(("input", "p", "training"), args, kwargs, (0.5, True))
    if training and p:
        raise JetRefusedError("it draws random numbers (dropout)")
    return args[0]


def aligned(parts: Tensor, z: Jet, value: Tensor) -> Tensor:
    """Parts that broadcast as the jet's value does to `value`: new axes go behind that of the directions."""
    return parts[(slice(None), *[None] * (value.ndim - z.value.ndim))]


def full(parts: Tensor, value: Tensor) -> Tensor:
    """Parts of every entry of value, but for a batch that they share."""
    shared = value.ndim > 0 and parts.shape[1] == 1
    return parts.expand(len(parts), 1 if shared else len(value), *value.shape[1:]) if value.ndim else parts


def _folded(g: Func, parts: Tensor) -> Tensor:
    """g, which takes a batch of any size, of parts (S+1, b, ...)."""
    result: Tensor = g(parts.flatten(0, 1))
    return result.unflatten(0, parts.shape[:2])
