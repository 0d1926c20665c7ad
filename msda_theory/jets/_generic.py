"""Any function that torch can differentiate twice forwards, of jets; and what the other rules share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.func import jvp, vmap
from torch.utils._pytree import tree_flatten, tree_unflatten

from msda_theory._written_out import differentiable
from msda_theory.jets._jet import Jet
from msda_theory.jets._slopes import Bend, Slopes, Total

Func = Callable[..., Any]


def generic(func: Func, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Any function that torch can differentiate twice forwards."""
    g, jets, back = function_of_jets(func, args, kwargs)
    values, along = tuple(z.value for z in jets), tuple(z.full_slopes for z in jets)
    bends = () if all(z.bend is None for z in jets) else tuple(z.full_bend for z in jets)

    def image(k: int, value: Tensor) -> Jet:
        def own(*v: Tensor) -> Tensor:
            return g(*v)[k]

        def first(*direction: Tensor) -> Tensor:
            return jvp(own, values, direction)[1]

        def second(*direction: Tensor) -> Tensor:
            return jvp(lambda *v: jvp(own, v, direction)[1], values, direction)[1]

        def bend(curved: Tensor, *bent: Tensor) -> Tensor:
            return curved + _forwards(first)(*bent) if bent else curved

        curved = Total(lambda *v: _forwards(vmap(second))(*v).sum(0), along)
        return Jet(value, Slopes(_forwards(vmap(first)), along), Bend(bend, (curved, *bends)))

    with differentiable():
        return back([image(k, value) for k, value in enumerate(g(*values))])


def _forwards(function: Func) -> Func:
    """What takes derivatives by torch: with gradients, as in _activations, and where torch's own second are right."""

    def made(*tensors: Tensor) -> Tensor:
        with torch.enable_grad(), differentiable():
            result: Tensor = function(*tensors)
        return result

    return made


def generic_jet(func: Func, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Jet:
    result: Jet = generic(func, func.__name__, args, kwargs)
    return result


def function_of_jets(func: Func, args: Any, kwargs: Any) -> tuple[Func, list[Jet], Func]:
    """func as a function of the jets' tensors alone, to a tuple of tensors; the jets; and back to func's own result."""
    flat, spec = tree_flatten((args, kwargs))
    places = [k for k, z in enumerate(flat) if isinstance(z, Jet)]
    shape: list[Any] = []

    def g(*tensors: Tensor) -> tuple[Tensor, ...]:
        filled = list(flat)
        for place, tensor in zip(places, tensors, strict=True):
            filled[place] = tensor
        own_args, own_kwargs = tree_unflatten(filled, spec)
        results, out = tree_flatten(func(*own_args, **own_kwargs))
        shape[:] = [out, [isinstance(r, Tensor) for r in results]]
        return tuple(r for r in results if isinstance(r, Tensor))

    def back(jets: list[Jet]) -> Any:
        out, tensors = shape
        left = iter(jets)
        return tree_unflatten([next(left) if is_tensor else None for is_tensor in tensors], out)

    return g, [flat[k] for k in places], back


def value_of(z: Any) -> Any:
    return z.value if isinstance(z, Jet) else z


def any_jet(arguments: Any) -> bool:
    """Whether there is one among them, in lists, tuples and dictionaries too."""
    if isinstance(arguments, dict):
        arguments = arguments.values()
    elif not isinstance(arguments, list | tuple):
        return isinstance(arguments, Jet)
    return any(map(any_jet, arguments))


def arguments_of(
    names: tuple[str, ...], args: tuple[Any, ...], kwargs: dict[str, Any], usual: tuple[Any, ...] = ()
) -> list[Any]:
    """The named arguments in order, those left out as `usual` has the last of them (None where it is short)."""
    padded = (None,) * (len(names) - len(usual)) + usual
    given = list(args[: len(names)])
    given += [kwargs.get(name, other) for name, other in list(zip(names, padded, strict=True))[len(given) :]]
    return [*given, *args[len(names) :]]
