"""The augmentation and the loss that the command line names.  Errors name the argument and what is needed."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from torch import Tensor

from msda_theory import Augmentation, Beta, masks
from msda_theory.losses import Loss
from verify.problems import LOSSES

#: options of each mask law, with their defaults
MASK_OPTIONS: dict[str, dict[str, Any]] = {
    "mixup": {},
    "bernoulli": {},
    "cutmix": {"sampler": "inside"},
    "hmix": {"r": 0.5, "sampler": "inside"},
    "gmix": {"kernel": "printed"},
    "stochastic": {"q": 0.5, "sampler": "inside"},
}
WITH_GEOMETRY = {"cutmix": masks.CutMix, "hmix": masks.HMix, "gmix": masks.GMix, "stochastic": masks.Stochastic}
METHOD_OPTIONS: dict[str, dict[str, Any]] = {"enumerate": {"rtol": 1e-6}, "monte-carlo": {"draws": 100_000}}


def augmentation(settings: Namespace, x: Tensor) -> Augmentation:
    """The augmentation of the settings, for masks of the shape of what x holds."""
    kind = settings.msda
    options = chosen(settings, MASK_OPTIONS, "msda")
    if kind in WITH_GEOMETRY:
        if x.ndim < 3:
            raise ValueError(
                f"--msda={kind} cuts images, x has shape {tuple(x.shape)}: needed is (m, ..., H, W); mixup and "
                f"bernoulli take any shape"
            )
        mask = WITH_GEOMETRY[kind](tuple(x.shape[-2:]), **options)
    else:
        mask = (masks.Mixup if kind == "mixup" else masks.Bernoulli)(tuple(x.shape[1:]))
    return Augmentation(Beta(settings.alpha, settings.beta), mask, label=settings.label)


def chosen(settings: Namespace, table: dict[str, dict[str, Any]], key: str) -> dict[str, Any]:
    """The options that belong to the choice made for `key`, defaults filled in; an error for one that does not."""
    choice = getattr(settings, key)
    for option in sorted({o for options in table.values() for o in options} - set(table[choice])):
        if getattr(settings, option) is not None:
            owners = ", ".join(c for c in table if option in table[c])
            raise ValueError(f"--{option}={getattr(settings, option)} with --{key}={choice}: it belongs to {owners}")
    given = {option: getattr(settings, option) for option in table[choice]}
    return {o: table[choice][o] if value is None else value for o, value in given.items()}


def loss_for_outputs(name: str, outputs: Tensor) -> Loss:
    """The loss named; "auto" is softmax cross-entropy for several outputs and logistic for one."""
    if name == "auto":
        name = "softmax" if outputs.shape[1] > 1 else "logistic"
    return LOSSES[name]()
