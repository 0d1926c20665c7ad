"""Rules for linear and affine operations: slopes and bend go along by themselves."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor
from torch.func import vmap
from torch.nn import functional

from msda_theory.jets._generic import Func, any_jet, arguments_of, generic, generic_jet, value_of
from msda_theory.jets._jet import Jet, JetRefusedError
from msda_theory.jets._operations import BATCH_FIRST
from msda_theory.jets._slopes import Bend, Slopes, last


def linear_map(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    z, rest = args[0], args[1:]
    if not isinstance(z, Jet) or any_jet((rest, kwargs)):
        return generic(func, name, args, kwargs)

    def image(v: Tensor) -> Any:
        return func(v, *rest, **kwargs)

    value = image(z.value)
    if not isinstance(value, Tensor):
        return type(value)(_one_of(image, k, z, part) for k, part in enumerate(value))
    if name in BATCH_FIRST or (name == "flatten" and rest and rest[0] >= 1):
        return Jet(value, z.slopes.then(vmap(image), (name, repr(rest), repr(kwargs))), z.bent(image))
    return Jet(value, z.full_slopes.then(vmap(image), None), z.fully_bent(image))


def _one_of(image: Func, k: int, z: Jet, value: Tensor) -> Jet:
    def part(v: Tensor) -> Tensor:
        result: Tensor = image(v)[k]
        return result

    return Jet(value, z.full_slopes.then(vmap(part), None), z.fully_bent(part))


def affine(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Jet:
    """x W^T + b."""
    z, weight, bias = arguments_of(("input", "weight", "bias"), args, kwargs)
    if not isinstance(z, Jet) or any_jet((weight, bias)):
        return generic_jet(func, args, kwargs)

    def linear(v: Tensor) -> Tensor:
        return functional.linear(v, last(weight, v))

    value = functional.linear(z.value, weight, bias)
    return Jet(value, z.slopes.then(linear, (name, id(weight)), weight, zeros="end"), z.bent(linear))


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
    return Jet(value, z.slopes.then(lambda v: _folded(linear, v), key, weight), z.bent(linear))


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
    return Jet(value, z.slopes.then(lambda v: _folded(linear, v), (name, id(var), eps), var), z.bent(linear))


def total(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Jet:
    a, b = args
    value = func(value_of(a), value_of(b), **kwargs)
    signs = {"rsub": (-1, 1), "sub": (1, -1)}.get(name, (1, 1))
    factors = signs[0], signs[1] * kwargs.get("alpha", 1)
    jets = [(z, factor) for z, factor in zip((a, b), factors, strict=True) if isinstance(z, Jet)]
    terms = [(factor, value.ndim - z.value.ndim) for z, factor in jets]

    def slopes(*before: Tensor) -> Tensor:
        return full(sum(factor * aligned(v, axes) for v, (factor, axes) in zip(before, terms, strict=True)), value)

    shared = all(z.slopes.shared for z, _ in jets)
    bent = [(z.bend, factor) for z, factor in jets if z.bend is not None]
    bends, weights = [bend for bend, _ in bent], [factor for _, factor in bent]

    def bend(*parts: Tensor) -> Tensor:
        return sum(map(operator.mul, weights, parts)).expand(value.shape)

    along = Slopes(slopes, tuple(z.slopes for z, _ in jets), shared=shared)
    return Jet(value, along, Bend(bend, tuple(bends)) if bends else None)


def concatenation(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Jet:
    tensors, rest = args[0], args[1:]
    jets = [z for z in tensors if isinstance(z, Jet)]

    def joined(parts: Any) -> Tensor:
        result: Tensor = func(list(parts), *rest, **kwargs)
        return result

    def filled(*parts: Tensor) -> Tensor:
        """The jets' places filled with parts, those of constants with zeros."""
        left = iter(parts)
        return joined(next(left) if isinstance(z, Jet) else torch.zeros_like(z) for z in tensors)

    straight = all(z.bend is None for z in jets)
    bend = None if straight else Bend(filled, tuple(z.full_bend for z in jets))
    return Jet(joined(map(value_of, tensors)), Slopes(vmap(filled), tuple(z.full_slopes for z in jets)), bend)


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


def _folded(g: Func, slopes: Tensor) -> Tensor:
    """g, which takes a batch of any size, of slopes (S, b, ...)."""
    result: Tensor = g(slopes.flatten(0, 1))
    return result.unflatten(0, slopes.shape[:2])
