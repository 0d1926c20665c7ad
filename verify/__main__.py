"""`python -m verify`: the exact loss against its expansion, for your own network and data."""

from __future__ import annotations

import json
import math
import platform
import sys
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy
import scipy
import torch
from torch import nn

import msda_theory as mt
from msda_theory._validation import require_data
from msda_theory.expansions import DistanceProfile, r2_by_distance
from verify import audit, inputs, ranks, samples
from verify.cost import Cost, measured
from verify.files import require_writable, write_atomically
from verify.models import Problem, UserCodeError, problem
from verify.order import OrderFit, remainder_order
from verify.placing import require_device
from verify.resuming import resumable
from verify.settings import parser

SCHEMA = 1
FAILED, INTERRUPTED = 2, 130
#: moves that R2 by distance is taken from where --directions does not say
DIRECTIONS = 64


@dataclass(frozen=True)
class Found:
    """What a run computed, and what it cost."""

    comparison: mt.Comparison
    distances: DistanceProfile | None
    order: OrderFit | None
    notices: list[str]
    cost: Cost


def main(argv: Sequence[str] | None = None) -> int:
    """Print the comparison; exit code 0, or 2 with a message on standard error for what cannot be done."""
    words = sys.argv[1:] if argv is None else list(argv)
    return ranks.run(lambda: _main(words)) if ranks.launched() else _main(words)


def _main(words: list[str]) -> int:
    wants_audit = any(word.split("=")[0] == "--audit" for word in words)
    if wants_audit and ranks.launched():
        return _failed(ValueError("--audit under torchrun: an audit is not shared, needed is a run without it"))
    settings = None if wants_audit else parser().parse_args(words)
    try:
        audit.run(words) if settings is None else _run(settings)
    except UserCodeError as error:
        return _failed(error, error.trace)
    except (ValueError, TypeError, OSError, mt.TransformRefusedError) as error:
        return _failed(error)
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        return INTERRUPTED
    return 0


def _failed(error: Exception, trace: str = "") -> int:
    print(f"{trace}python -m verify: error: {error}", file=sys.stderr)
    return FAILED


def _run(settings: Namespace) -> None:
    for path, argument in ((settings.json, "--json"), (settings.resume, "--resume")):
        if path is not None and ranks.is_first():
            require_writable(path, argument)
    if settings.device is not None:
        require_device(settings.device)
    if settings.order and settings.directions is not None:
        raise ValueError(f"--order with --directions={settings.directions}: the error of drawn moves hides the order")
    options = _exact_options(settings)
    with measured() as cost:
        data = samples.data(settings)
        augmentation = inputs.augmentation(settings, data.x)
        require_data(data.x, data.y, augmentation.mask.shape)
        given = problem(settings, data)
        found = _found(settings, given, augmentation, options, cost)
        cost.device = str(given.x.device)
    _print(settings, given, found)
    if settings.json is not None and ranks.is_first():
        report = _report(settings, given, found)
        write_atomically(settings.json, json.dumps(report, indent=2, allow_nan=False) + "\n")


def _found(
    settings: Namespace, given: Problem, augmentation: mt.Augmentation, options: dict[str, Any], cost: Cost
) -> Found:
    problem = given.model, given.loss, given.x, given.y, augmentation
    options |= {"as_printed": settings.as_printed, "directions": settings.directions}
    with _collected_notices() as notices, resumable(settings, given, _versions()):
        comparison = mt.compare(*problem, **options)
        order = _order(given, augmentation, settings.as_printed) if settings.order else None
        distances = None
        if given.x.ndim > 2:
            count, stream = settings.directions or DIRECTIONS, numpy.random.default_rng(settings.seed).spawn(3)[2]
            distances = r2_by_distance(*problem, directions=count, seed=stream)
    return Found(comparison, distances, order, list(dict.fromkeys(notices)), cost)


def _exact_options(settings: Namespace) -> dict[str, Any]:
    chosen = inputs.chosen(settings, inputs.METHOD_OPTIONS, "method")
    renamed = {"samples" if key == "draws" else key: value for key, value in chosen.items()}
    return {"method": settings.method, "seed": settings.seed, **renamed}


def _order(given: Problem, augmentation: mt.Augmentation, as_printed: bool) -> OrderFit:
    """In float64 whatever the network's dtype: the slope is read off far below float32's rounding."""
    model: Callable[[torch.Tensor], torch.Tensor] = given.model
    if isinstance(model, nn.Module):
        model = deepcopy(model).double()
    x, y = given.x.double(), given.y
    theory = mt.taylor_loss(model, given.loss, x, y, augmentation, as_printed=as_printed)
    return remainder_order(model, given.loss, x, y, augmentation, theory=theory)


@contextmanager
def _collected_notices() -> Iterator[list[str]]:
    """The library's notices as text; other warnings are shown as ever, when the block ends."""
    notices: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", mt.ZeroHessianNotice)
        yield notices
    for warning in caught:
        if issubclass(warning.category, mt.ZeroHessianNotice):
            notices.append(str(warning.message))
        else:
            warnings.showwarning(warning.message, warning.category, warning.filename, warning.lineno)


def _print(settings: Namespace, given: Problem, found: Found) -> None:
    print(f"data: {settings.data}, {len(given.x)} samples of shape {tuple(given.x.shape[1:])}, {given.x.dtype}")
    print(f"model: {given.note}")
    print(found.comparison)
    if found.distances is not None:
        print(found.distances)
    for notice in found.notices:
        print(f"notice: {notice}")
    if found.order is not None:
        print(found.order)
    print(found.cost)


def _report(settings: Namespace, given: Problem, found: Found) -> dict[str, Any]:
    """Everything that was computed and what it was computed from, as JSON takes it: inf and nan become null."""
    report = {
        "schema": SCHEMA,
        "versions": _versions(),
        "seed": settings.seed,
        "settings": {k: str(v) if isinstance(v, Path) else v for k, v in vars(settings).items()},
        "data": {"shape": list(given.x.shape), "dtype": str(given.x.dtype)},
        "model": given.note,
        **found.comparison.to_dict(),
        "distances": None if found.distances is None else found.distances.to_dict(),
        "notices": found.notices,
        "order": None if found.order is None else {"exact": not found.order.window, **asdict(found.order)},
        "cost": asdict(found.cost),
    }
    return _plain(report)


def _versions() -> dict[str, str]:
    versions = {module.__name__: str(module.__version__) for module in (mt, torch, numpy, scipy)}
    return {"python": platform.python_version(), **versions}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


if __name__ == "__main__":
    sys.exit(main())
