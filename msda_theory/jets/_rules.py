"""Which rule an operation of torch follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.nn import functional

from msda_theory._written_out import WRITTEN_OUT
from msda_theory.jets import _operations as names
from msda_theory.jets._generic import Func, generic
from msda_theory.jets._jet import Jet
from msda_theory.jets._linear import affine, batch_norm, concatenation, convolution, identity, linear_map, total
from msda_theory.jets._nonlinear import (
    elementwise,
    forbidden,
    matrix_product,
    piecewise_linear,
    piecewise_map,
    product,
    quotient,
)

Rule = Callable[[Func, str, tuple[Any, ...], dict[str, Any]], Any]
_RULES: tuple[tuple[frozenset[str], Rule], ...] = (
    (frozenset(("linear",)), affine),
    (names.CONVOLUTIONS, convolution),
    (frozenset(("batch_norm",)), batch_norm),
    (names.LINEAR_MAPS, linear_map),
    (names.ELEMENTWISE, elementwise),
    (names.PIECEWISE_LINEAR, piecewise_linear),
    (names.PIECEWISE_MAPS, piecewise_map),
    (names.SUMS, total),
    (names.PRODUCTS, product),
    (names.QUOTIENTS, quotient),
    (names.MATRIX_PRODUCTS, matrix_product),
    (names.CONCATENATIONS, concatenation),
    (names.IDENTITIES, identity),
    (names.FORBIDDEN, forbidden),
)
RULE_OF = {name: rule for known, rule in _RULES for name in known}


def through(func: Func, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """func(*args, **kwargs) where some of the tensors are jets."""
    if func in WRITTEN_OUT:
        return WRITTEN_OUT[func](*args, **kwargs)
    name = func.__name__.strip("_")
    in_place = (func.__name__.endswith("_") and not func.__name__.startswith("__")) or kwargs.get("inplace", False)
    if in_place:
        func, kwargs = _out_of_place(func, name), {k: v for k, v in kwargs.items() if k != "inplace"}
        target, args = args[0], (Jet(args[0].value, args[0].slopes, args[0].bend), *args[1:])
    result = RULE_OF.get(name, generic)(func, name, args, kwargs)
    if in_place:
        target.value, target.slopes, target.bend = result.value, result.slopes, result.bend
        return target
    return result


def _out_of_place(func: Func, name: str) -> Func:
    """The function that returns what `func` writes into its argument; a functional with inplace= is its own."""
    if not func.__name__.endswith("_"):
        return func
    module: Any = Tensor if hasattr(Tensor, name) else functional
    found: Func = getattr(module, name)
    return found
