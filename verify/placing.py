"""A network as the command line wants it: weights from a file, dtype, device, and a limit of inputs at once."""

from __future__ import annotations

import pickle
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.utils import consume_prefix_in_state_dict_if_present

from msda_theory.jets import Jet

Network = Callable[[Tensor], Tensor]
DTYPES = {"float32": torch.float32, "float64": torch.float64}
#: under which a training script may keep the weights, beside other things
KEYS = ("state_dict", "model", "model_state_dict")


class InBatches(nn.Module):
    """The network on at most `most` inputs at once; a sample with its directions counts as all of them."""

    def __init__(self, model: Network, most: int) -> None:
        super().__init__()
        self.model, self.most = model, most

    def forward(self, x: Tensor) -> Tensor:
        size = max(1, self.most // len(x.parts)) if isinstance(x, Jet) else self.most
        return self.model(x) if len(x) <= size else torch.cat([self.model(part) for part in x.split(size)])


def placed(settings: Namespace, model: Network, x: Tensor, y: Tensor) -> tuple[Network, Tensor, Tensor]:
    """With `--dtype`, `--device` and `--batch` applied; x in the dtype of the network's parameters."""
    dtype = DTYPES.get(settings.dtype)
    if isinstance(model, nn.Module):
        model = model.to(device=settings.device, dtype=dtype)
        dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), dtype)
    if settings.batch is not None:
        model = InBatches(model, settings.batch).eval()
    return model, x.to(device=settings.device, dtype=dtype or x.dtype), y.to(settings.device)


def require_device(name: str) -> None:
    """An error where torch cannot compute there."""
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"--device={name}: {reason}; needed is a device that torch can compute on, as cpu") from error


def load_checkpoint(model: nn.Module, file: Path) -> None:
    """The state dict that torch.save wrote, alone or under one of KEYS, also from nn.DataParallel."""
    argument = f"--checkpoint={file}"
    need = "needed is a state dict of the network, written by torch.save"
    try:
        content: Any = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise ValueError(f"{argument} cannot be read: {str(error).splitlines()[0]}; {need}") from error
    state = next((content[k] for k in KEYS if isinstance(content, dict) and isinstance(content.get(k), dict)), content)
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(f"{argument} holds a {type(state).__name__}: {need}")
    consume_prefix_in_state_dict_if_present(state, "module.")
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{argument} does not fit the network: {error}") from error
