"""A tensor that carries derivatives through a network: collapsed Taylor mode.

A sum of second derivatives along S directions does not need S of them: through every operation z -> g(z)

    D z[v_s]               ->  Dg . D z[v_s]
    sum_s D^2 z[v_s, v_s]  ->  Dg . sum_s D^2 z[v_s, v_s]  +  sum_s D^2 g[D z[v_s], D z[v_s]]

so that S + 2 tensors go through the network and not 2 S + 1.  What the operations do to them is in `_rules`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from msda_theory.jets._slopes import Slopes

METADATA = frozenset(
    {"shape", "dtype", "device", "ndim", "layout", "is_cuda", "is_sparse", "is_nested", "requires_grad"}
)
METADATA_METHODS = frozenset({"size", "dim", "numel", "is_floating_point", "is_complex", "nelement"})
OPERATORS = (
    *("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "matmul", "rmatmul", "pow", "rpow"),
    *("neg", "abs", "getitem", "gt", "lt", "ge", "le"),
)


class JetRefusedError(RuntimeError):
    """An operation that a jet cannot be taken through."""


class Jet:
    """value (m, ...), slopes (S, m, ...) along S directions, and bend (m, ...), the sum of the second derivatives.

    The batch of slopes and bend may be one where they are the same for every sample.  It goes through torch's
    functions and a tensor's methods; it is no tensor, and nothing may be decided by its values.
    """

    def __init__(self, value: Tensor, slopes: Slopes, bend: Tensor) -> None:
        self.value, self.slopes, self.bend = value, slopes, bend

    @classmethod
    def start(cls, x: Tensor, directions: Tensor | Slopes) -> Jet:
        """The network's input: x (m, ...), directions (S, m or 1, ...)."""
        slopes = directions if isinstance(directions, Slopes) else Slopes.of(directions)
        return cls(x, slopes, torch.zeros_like(x[:1]))

    @property
    def full_slopes(self) -> Tensor:
        """The slopes, one for every sample: (S, m, ...)."""
        return self.slopes.expanded(self.value.shape)

    @property
    def full_bend(self) -> Tensor:
        return self.bend.expand(self.value.shape)

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
