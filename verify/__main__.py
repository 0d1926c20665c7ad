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
from dataclasses import asdict
from typing import Any

import numpy
import scipy
import torch
from torch import nn

import msda_theory as mt
from msda_theory._validation import require_data
from verify import audit, inputs
from verify.files import require_writable, write_atomically
from verify.models import Problem, UserCodeError, problem
from verify.order import OrderFit, remainder_order
from verify.settings import parser

SCHEMA = 1
FAILED, INTERRUPTED = 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Print the comparison; exit code 0, or 2 with a message on standard error for what cannot be done."""
    words = sys.argv[1:] if argv is None else list(argv)
    wants_audit = any(word.split("=")[0] == "--audit" for word in words)
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
    if settings.json is not None:
        require_writable(settings.json, "--json")
    options = _exact_options(settings)
    x, y = inputs.data(settings)
    augmentation = inputs.augmentation(settings, x)
    require_data(x, y, augmentation.mask.shape)
    given = problem(settings, x, y)
    with _collected_notices() as notices:
        comparison = mt.compare(
            given.model, given.loss, given.x, given.y, augmentation, as_printed=settings.as_printed, **options
        )
        order = _order(given, augmentation, settings.as_printed) if settings.order else None
    notices = list(dict.fromkeys(notices))
    _print(settings, given, comparison, order, notices)
    if settings.json is not None:
        report = _report(settings, given, comparison, order, notices)
        write_atomically(settings.json, json.dumps(report, indent=2, allow_nan=False) + "\n")


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


def _print(
    settings: Namespace, given: Problem, comparison: mt.Comparison, order: OrderFit | None, notices: list[str]
) -> None:
    print(f"data: {settings.data}, {len(given.x)} samples of shape {tuple(given.x.shape[1:])}, {given.x.dtype}")
    print(f"model: {given.note}")
    print(comparison)
    for notice in notices:
        print(f"notice: {notice}")
    if order is not None:
        print(order)


def _report(
    settings: Namespace, given: Problem, comparison: mt.Comparison, order: OrderFit | None, notices: list[str]
) -> dict[str, Any]:
    """Everything that was computed and what it was computed from, as JSON takes it: inf and nan become null."""
    versions = {module.__name__: str(module.__version__) for module in (mt, torch, numpy, scipy)}
    report = {
        "schema": SCHEMA,
        "versions": {"python": platform.python_version(), **versions},
        "seed": settings.seed,
        "settings": {k: str(v) if k == "json" else v for k, v in vars(settings).items()},
        "data": {"shape": list(given.x.shape), "dtype": str(given.x.dtype)},
        "model": given.note,
        **comparison.to_dict(),
        "notices": notices,
        "order": None if order is None else {"exact": not order.window, **asdict(order)},
    }
    return _plain(report)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


if __name__ == "__main__":
    sys.exit(main())
