"""The networks that the command line names: built in and trained here, or the user's own from file.py:function."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TypeVar

import torch
from torch import Tensor, nn

import msda_theory
from msda_theory._model import outputs
from msda_theory._validation import require_eval_mode
from msda_theory.losses import Loss
from verify.image_models import image_network
from verify.inputs import loss_for_outputs
from verify.networks import NETWORKS
from verify.placing import Network, load_checkpoint, placed
from verify.problems import MODELS, fit, loss_for, network, standard_objective
from verify.samples import Samples

T = TypeVar("T")
STEPS = 50
WEIGHT_DECAY = 0.03  # all training samples of digits right, and an expansion that still says something
OURS = (__file__, msda_theory.__file__, torch.__file__, importlib.util.__file__)
OUR_FOLDERS = tuple(Path(file).parent for file in OURS)


class UserCodeError(ValueError):
    """The user's own code failed; `trace` is its traceback, without our frames."""

    def __init__(self, message: str, trace: str) -> None:
        super().__init__(message)
        self.trace = trace


@dataclass(frozen=True)
class Problem:
    """A network, its loss, the data in the network's dtype, and how the network came about."""

    model: Network
    loss: Loss
    x: Tensor
    y: Tensor
    note: str


def problem(settings: Namespace, samples: Samples) -> Problem:
    """The network of the settings on data that were checked before, in the dtype and on the device of the settings."""
    x, y = samples.x, samples.y
    _require_owned(settings)
    if settings.model in MODELS:
        given = _trained(settings, x, y)
    elif settings.model in NETWORKS:
        network_of_images, loss, note = image_network(settings, samples)
        given = Problem(network_of_images, loss, x, y, note)
    else:
        given = _users(settings, x, y)
    model, x, y = placed(settings, given.model, given.x, given.y)
    return Problem(model, given.loss, x, y, given.note)


def _require_owned(settings: Namespace) -> None:
    """An error for an option of other networks."""
    owners = {"epochs": tuple(NETWORKS), "checkpoint": (*NETWORKS, "path/to/file.py:function")}
    for option, names in owners.items():
        value = getattr(settings, option)
        known = settings.model in NETWORKS or (option == "checkpoint" and settings.model not in MODELS)
        if value is not None and not known:
            raise ValueError(f"--{option}={value} with --model={settings.model}: it belongs to {', '.join(names)}")


def _trained(settings: Namespace, x: Tensor, y: Tensor) -> Problem:
    loss, width = loss_for(y, settings.loss)
    loss.prepare(y, x.new_zeros(len(x), width))
    model = network(settings.model, tuple(x.shape[1:]), width, seed=settings.seed)
    decay = WEIGHT_DECAY if settings.weight_decay is None else settings.weight_decay
    fit(model, standard_objective(loss, x, y, weight_decay=decay), steps=STEPS)
    note = (
        f"{settings.model}, {width} output{'s' * (width > 1)}, trained on these samples without augmentation: L-BFGS, "
        f"{STEPS} steps, loss + {decay:g}/2 |theta|^2"
    )
    return Problem(model, loss, x, y, note)


def _users(settings: Namespace, x: Tensor, y: Tensor) -> Problem:
    argument = f"--model={settings.model}"
    if settings.weight_decay is not None:
        raise ValueError(f"--weight-decay={settings.weight_decay:g} with {argument}: only built-in models are trained")
    model = _build(settings.model, argument, settings.seed)
    note = "used as it is"
    if settings.checkpoint is not None:
        if not isinstance(model, nn.Module):
            raise ValueError(f"--checkpoint={settings.checkpoint} with {argument}: needed is a torch.nn.Module")
        load_checkpoint(model, settings.checkpoint)
        note = f"with the weights of {settings.checkpoint}"
    require_eval_mode(model)
    parameters = model.parameters() if isinstance(model, nn.Module) else iter(())
    first = next((p for p in parameters if p.is_floating_point()), None)
    x = x if first is None else x.to(first)
    with torch.no_grad():
        _tried(model, x[:1], argument)  # the derivatives are taken a sample at a time
        f = _tried(model, x, argument)
    return Problem(model, loss_for_outputs(settings.loss, f), x, y, f"{settings.model}, {note}")


def _tried(model: Network, x: Tensor, argument: str) -> Tensor:
    f = called(lambda: model(x.clone()), f"{argument}: the network, on x of shape {tuple(x.shape)},")
    return outputs(lambda _: f, x)


def _build(name: str, argument: str, seed: int) -> Network:
    file, _, function = name.rpartition(":")
    if not file or not function:
        raise ValueError(f"{argument}: needed is one of {', '.join((*MODELS, *NETWORKS))}, or path/to/file.py:function")
    make = getattr(load(Path(file), argument), function, None)
    if not callable(make) or isinstance(make, nn.Module):
        kind = "has no such function" if make is None else f"is a {type(make).__name__}"
        raise ValueError(f"{argument} {kind}: needed is a function of no arguments that returns the network")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = called(make, argument)
    if not callable(model):
        raise ValueError(f"{argument} returned a {type(model).__name__}: needed is a torch.nn.Module or a callable")
    return model


def load(file: Path, argument: str) -> ModuleType:
    """The user's Python file as a module."""
    spec = importlib.util.spec_from_file_location("user_model", file) if file.is_file() else None
    if spec is None or spec.loader is None:
        raise ValueError(f"{argument}: {file} is not a Python file; needed is path/to/file.py:function")
    module, loader = importlib.util.module_from_spec(spec), spec.loader
    sys.modules[spec.name] = module
    sys.path.insert(0, str(file.resolve().parent))  # as for a script, so that the file can import its neighbours
    called(lambda: loader.exec_module(module), argument)
    return module


def called(code: Callable[[], T], what: str) -> T:
    """The result of the user's code; what it raises becomes a UserCodeError with its traceback."""
    try:
        return code()
    except (Exception, SystemExit) as error:
        raise UserCodeError(f"{what} raised {type(error).__name__}: {error}", user_trace(error)) from error


def user_trace(error: BaseException) -> str:
    """The traceback of the user's code, without our frames above it."""
    return "".join(traceback.format_exception(type(error), error, _from_users(error.__traceback__)))


def _from_users(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and _is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return trace


def _is_ours(file: str) -> bool:
    return file.startswith("<frozen importlib") or any(Path(file).is_relative_to(folder) for folder in OUR_FOLDERS)
