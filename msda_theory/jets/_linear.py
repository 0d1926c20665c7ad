"""Rules for linear and affine operations: slopes and bend go along by themselves."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.func import vmap
from torch.nn import functional

from msda_theory.jets._generic import Func, any_jet, arguments_of, generic, generic_jet, value_of
from msda_theory.jets._jet import Jet, JetRefusedError
from msda_theory.jets._operations import BATCH_FIRST
from msda_theory.jets._slopes import Slopes


def linear_map(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    z, rest = args[0], args[1:]
    if not isinstance(z, Jet) or any_jet((rest, kwargs)):
        return generic(func, name, args, kwargs)

    def image(v: Tensor) -> Any:
        return func(v, *rest, **kwargs)

    value = image(z.value)
    if not isinstance(value, Tensor):
        slopes, bends = vmap(image)(z.full_slopes), image(z.full_bend)
        return type(value)(Jet(v, Slopes.of(s), b) for v, s, b in zip(value, slopes, bends, strict=True))
    if name in BATCH_FIRST or (name == "flatten" and rest and rest[0] >= 1):
        return Jet(value, z.slopes.then(vmap(image), (name, repr(rest), repr(kwargs))), image(z.bend))
    before, shape = z.slopes, z.value.shape
    return Jet(value, Slopes(lambda: vmap(image)(before.expanded(shape)), shared=False), image(z.full_bend))


def affine(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Jet:
    """x W^T + b."""
    z, weight, bias = arguments_of(("input", "weight", "bias"), args, kwargs)
    if not isinstance(z, Jet) or any_jet((weight, bias)):
        return generic_jet(func, args, kwargs)
    slopes = z.slopes.then(lambda v: functional.linear(v, weight), (name, id(weight)), weight)
    return Jet(functional.linear(z.value, weight, bias), slopes, functional.linear(z.bend, weight))


def convolution(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Jet:
    z, weight, bias, *rest = arguments_of(("input", "weight", "bias"), args, kwargs)
    options = {k: v for k, v in kwargs.items() if k not in ("input", "weight", "bias")}
    if not isinstance(z, Jet) or any_jet((weight, bias)):
        return generic_jet(func, args, kwargs)

    def linear(v: Tensor) -> Tensor:
        result: Tensor = func(v, weight, None, *rest, **options)
        return result

    key = name, id(weight), repr(rest), repr(options)
    value = func(z.value, weight, bias, *rest, **options)
    return Jet(value, z.slopes.then(lambda v: _folded(linear, v), key, weight), linear(z.bend))


def batch_norm(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Jet:
    """In eval mode: (z - mean) weight / sqrt(var + eps) + bias."""
    names = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
    usual = (None, None, False, 0.1, 1e-5)
    z, mean, var, weight, bias, training, momentum, eps = arguments_of(names, args, kwargs, usual)
    if training or mean is None:
        raise JetRefusedError("its batch norm takes the statistics of the batch")
    none = torch.zeros_like(mean)

    def linear(v: Tensor) -> Tensor:
        return functional.batch_norm(v, none, var, weight, None, False, momentum, eps)

    value = functional.batch_norm(z.value, mean, var, weight, bias, False, momentum, eps)
    return Jet(value, z.slopes.then(lambda v: _folded(linear, v), (name, id(var), eps), var), linear(z.bend))


def total(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Jet:
    a, b = args
    value = func(value_of(a), value_of(b), **kwargs)
    signs = {"rsub": (-1, 1), "sub": (1, -1)}.get(name, (1, 1))
    factors = signs[0], signs[1] * kwargs.get("alpha", 1)
    jets = [(z, factor) for z, factor in zip((a, b), factors, strict=True) if isinstance(z, Jet)]
    terms = [(z.slopes, value.ndim - z.value.ndim, factor) for z, factor in jets]

    def slopes() -> Tensor:
        return full(sum(factor * aligned(before.get(), axes) for before, axes, factor in terms), value)

    bend = sum(factor * z.bend for z, factor in jets)
    shared = all(before.shared for before, _, _ in terms)
    return Jet(value, Slopes(slopes, shared=shared), full_bend(bend, value))


def concatenation(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Jet:
    tensors, rest = args[0], args[1:]
    terms = [(z.slopes, z.value.shape) if isinstance(z, Jet) else z for z in tensors]

    def joined(parts: Any) -> Tensor:
        result: Tensor = func(list(parts), *rest, **kwargs)
        return result

    def slopes() -> Tensor:
        count = len(next(term for term in terms if isinstance(term, tuple))[0].get())
        parts = [t[0].expanded(t[1]) if isinstance(t, tuple) else t.new_zeros(count, *t.shape) for t in terms]
        return vmap(lambda *p: joined(p))(*parts)

    bends = [z.full_bend if isinstance(z, Jet) else torch.zeros_like(z) for z in tensors]
    return Jet(joined(map(value_of, tensors)), Slopes(slopes, shared=False), joined(bends))


def identity(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    _, p, training = arguments_of(("input", "p", "training"), args, kwargs, (0.5, True))
    if training and p:
        raise JetRefusedError("it draws random numbers (dropout)")
    return args[0]


def aligned(slopes: Tensor, axes: int) -> Tensor:
    """Slopes that broadcast as the jet's value does to one with more axes: they go behind that of the directions."""
    return slopes[(slice(None), *[None] * axes)]


def full(slopes: Any, value: Tensor) -> Tensor:
    """Slopes of every entry of value, but for a batch that they share."""
    batch = 1 if slopes.shape[1] == 1 else len(value)
    expanded: Tensor = slopes.expand(len(slopes), batch, *value.shape[1:])
    return expanded


def full_bend(bend: Any, value: Tensor) -> Tensor:
    expanded: Tensor = bend.expand(value.shape)
    return expanded


def _folded(g: Func, slopes: Tensor) -> Tensor:
    """g, which takes a batch of any size, of slopes (S, b, ...)."""
    result: Tensor = g(slopes.flatten(0, 1))
    return result.unflatten(0, slopes.shape[:2])
