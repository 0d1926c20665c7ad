"""A tensor that carries derivatives through a network: collapsed Taylor mode.

A sum of second derivatives along S directions does not need S of them: through every operation z -> g(z)

    D z[v_s]               ->  Dg . D z[v_s]
    sum_s D^2 z[v_s, v_s]  ->  Dg . sum_s D^2 z[v_s, v_s]  +  sum_s D^2 g[D z[v_s], D z[v_s]]

so that S + 2 tensors go through the network and not 2 S + 1.  What the operations do to them is in `_rules`.  Values go
through at once; slopes and bend are recipes, which `_sweep` makes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from msda_theory.jets._slopes import Bend, Slopes

METADATA = frozenset(
    {"shape", "dtype", "device", "ndim", "layout", "is_cuda", "is_sparse", "is_nested", "requires_grad"}
)
METADATA_METHODS = frozenset({"size", "dim", "numel", "is_floating_point", "is_complex", "nelement"})
OPERATORS = (
    *("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "matmul", "rmatmul", "pow", "rpow"),
    *("neg", "abs", "getitem", "gt", "lt", "ge", "le"),
)


Map = Callable[[Tensor], Tensor]


def expanded_to(value: Tensor) -> Map:
    """From what is the same for some axes of value to one for every entry."""
    shape = value.shape
    return lambda part: part.expand(shape)


class JetRefusedError(RuntimeError):
    """An operation that a jet cannot be taken through."""


class Jet:
    """value (m, ...), slopes (S, m, ...) along S directions, and bend (m, ...), the sum of the second derivatives.

    The batch of slopes and bend may be one where they are the same for every sample; bend is None where nothing has
    bent yet.  It goes through torch's functions and a tensor's methods; it is no tensor, and nothing may be decided by
    its values.
    """

    def __init__(self, value: Tensor, slopes: Slopes, bend: Bend | None) -> None:
        self.value, self.slopes, self.bend = value, slopes, bend

    @classmethod
    def start(cls, x: Tensor, directions: Tensor | Slopes) -> Jet:
        """The network's input: x (m, ...), directions (S, m or 1, ...)."""
        slopes = directions if isinstance(directions, Slopes) else Slopes.of(directions)
        return cls(x, slopes, None)

    @property
    def full_slopes(self) -> Slopes:
        """The slopes, one for every sample: (S, m, ...)."""
        shape = self.value.shape
        return Slopes(lambda v: v.expand(len(v), *shape), (self.slopes,))

    @property
    def full_bend(self) -> Bend:
        """The bend, one for every sample: (m, ...); zeros where nothing has bent."""
        value = self.value
        return Bend(lambda: torch.zeros_like(value), ()) if self.bend is None else self.bend.then(expanded_to(value))

    def bent(self, g: Map) -> Bend | None:
        """g, linear, of the bend; None where nothing has bent."""
        return None if self.bend is None else self.bend.then(g)

    def fully_bent(self, g: Map) -> Bend | None:
        """g, linear, of `full_bend`; None where nothing has bent."""
        return None if self.bend is None else self.full_bend.then(g)

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        from msda_theory.jets._rules import through

        return through(func, args, kwargs or {})

    def __getattr__(self, name: str) -> Any:
        if name in METADATA:
            return getattr(self.value, name)
        attribute = getattr(Tensor, name)
        if name in METADATA_METHODS:
            return getattr(self.value, name)
        if name in ("T", "mT"):
            return self.transpose(-2, -1)
        if not callable(attribute):
            raise JetRefusedError(f"it reads the attribute {name} of a tensor")
        return lambda *args, **kwargs: Jet.__torch_function__(attribute, (), (self, *args), kwargs)

    def __len__(self) -> int:
        return len(self.value)

    def __bool__(self) -> bool:
        raise JetRefusedError("it branches on the values of x")

    __float__ = __int__ = __index__ = __bool__


def _operator(name: str) -> Callable[..., Any]:
    func = getattr(Tensor, name)
    return lambda self, *args: Jet.__torch_function__(func, (), (self, *args))


for _name in OPERATORS:
    setattr(Jet, f"__{_name}__", _operator(f"__{_name}__"))
