"""One small function a library: how its augmentation is called, and what its labels mean.

An adapter is called with images (n, C, H, W) and returns the mixed images and the label weights (n, n), or None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor

from msda_theory._validation import require_choice
from msda_theory.audit._labels import LABELS, AuditError, label_batch, pair_weights, soft_weights
from msda_theory.ratios import Beta, RatioLaw


@dataclass(frozen=True)
class Mixed:
    """One call: images as they came back, label weights (n, n), and whether the labels given were written to."""

    images: Any
    weights: Tensor | None
    labels_changed: bool = False


@dataclass(frozen=True)
class Adapter:
    """`call` mixes a batch; `at_ratio(v)` is the same augmentation at a ratio v, the nominal weight of the first."""

    name: str
    call: Callable[[Tensor], Mixed]
    ratio: RatioLaw | None = None
    at_ratio: Callable[[float], Adapter] | None = None
    notes: tuple[str, ...] = ()


def adapter(augmentation: Callable[..., Any], labels: str | None, at_ratio: Callable[[float], Any] | None) -> Adapter:
    """The adapter of the library that the augmentation comes from; `labels` and `at_ratio` are for plain callables."""
    if labels is not None:
        require_choice("labels", labels, LABELS)
    library = type(augmentation).__module__.split(".")[0]
    makers = {"kornia": _kornia, "timm": _timm, "torchvision": _torchvision}
    if labels is None and at_ratio is None and library in makers:
        return makers[library](augmentation)
    return _plain(augmentation, labels or "one-hot", at_ratio)


def _plain(augmentation: Callable[..., Any], labels: str, at_ratio: Callable[[float], Any] | None) -> Adapter:
    """(x, y) to images, (images, labels), or (images, labels, partners' labels, ratio)."""

    def call(x: Tensor) -> Mixed:
        y = label_batch(labels, len(x))
        given = None if y is None else y.clone()
        result = augmentation(x) if y is None else augmentation(x, y)
        changed = y is not None and given is not None and not torch.equal(y, given)
        return _read(result, len(x), changed)

    forced = None if at_ratio is None else lambda v: _plain(at_ratio(v), labels, None)
    name = getattr(augmentation, "__name__", None) or repr(augmentation)
    return Adapter(name, call, at_ratio=forced)


def _read(result: Any, n: int, changed: bool) -> Mixed:
    if isinstance(result, Tensor):
        return Mixed(result, None, changed)
    if isinstance(result, Sequence) and len(result) == 2 and isinstance(result[1], Tensor):
        return Mixed(result[0], soft_weights(result[1], n), changed)
    if isinstance(result, Sequence) and len(result) == 4:
        images, own, partner, share = result
        return Mixed(images, pair_weights(own, partner, share, n), changed)
    what = f"{len(result)} things" if isinstance(result, Sequence) else f"a {type(result).__name__}"
    raise AuditError(
        f"the augmentation returned {what}: needed are images, (images, labels) or (images, labels, partners' labels, "
        f"ratio)"
    )


def _with_classes(augmentation: Callable[..., Any], name: str, ratio: RatioLaw | None, library: str) -> Adapter:
    inner = _plain(augmentation, "classes", None)
    return Adapter(f"{name} ({_versioned(library)})", inner.call, ratio)


def _torchvision(augmentation: Any) -> Adapter:
    """torchvision.transforms.v2.MixUp, CutMix: (x, classes) to (images, soft labels), lambda ~ Beta(alpha, alpha)."""
    alpha = getattr(augmentation, "alpha", None)
    name = type(augmentation).__name__
    return _with_classes(augmentation, name, None if alpha is None else Beta(alpha, alpha), "torchvision")


def _timm(augmentation: Any) -> Adapter:
    """timm.data.Mixup: (x, classes) to (images, smoothed soft labels); an even batch, mixed with its flip."""
    alphas = {a for a in (augmentation.mixup_alpha, augmentation.cutmix_alpha) if a > 0}
    ratio = Beta(*alphas, *alphas) if len(alphas) == 1 and augmentation.cutmix_minmax is None else None
    name = f"Mixup(mixup_alpha={augmentation.mixup_alpha:g}, cutmix_alpha={augmentation.cutmix_alpha:g}, "
    return _with_classes(augmentation, f"{name}mode={augmentation.mode!r})", ratio, "timm")


def _kornia(augmentation: Any) -> Adapter:
    """kornia.augmentation's mixes: labels (..., B, 3) of label, partner's label and lambda, for MixUp and CutMix.

    MixUp's lambda is the partner's share, as its documented loss has it.  CutMix's is documented as the kept area with
    use_correct_lambda=True, and as the cut area without.
    """
    kind = type(augmentation).__name__
    name, generator = f"{kind} ({_versioned('kornia')})", augmentation._param_generator
    common = {"same_on_batch": augmentation.same_on_batch, "p": augmentation.p_batch, "keepdim": augmentation.keepdim}
    if kind == "RandomMixUpV2":
        uniform = generator.lambda_val is None or tuple(map(float, generator.lambda_val)) == (0.0, 1.0)
        notes = ("labels read as documented for RandomMixUpV2: lambda weighs the partner's label",)
        return Adapter(
            name,
            lambda x: _kornia_call(augmentation, x, own_is_lambda=False),
            Beta(1.0, 1.0) if uniform else None,
            lambda v: _kornia(type(augmentation)(lambda_val=(1 - v, 1 - v), **common)),
            notes,
        )
    if kind == "RandomCutMixV2" and generator.num_mix == 1:
        right = augmentation.use_correct_lambda
        whole = generator.cut_size is None or tuple(map(float, generator.cut_size)) == (0.0, 1.0)
        beta = 1.0 if generator.beta is None else float(generator.beta)
        which = "kept area, the weight of the own label" if right else "cut area, the weight of the partner's label"
        return Adapter(
            name[: len(kind)] + f"(use_correct_lambda={right})" + name[len(kind) :],
            lambda x: _kornia_call(augmentation, x, own_is_lambda=right),
            Beta(beta, beta) if whole else None,
            lambda v: _kornia(type(augmentation)(1, (v, v), generator.beta, use_correct_lambda=right, **common)),
            (f"labels read as documented: with use_correct_lambda={right} lambda is the {which}",),
        )
    return Adapter(name, lambda x: Mixed(augmentation(x, data_keys=["input"]), None))


def _kornia_call(augmentation: Any, x: Tensor, own_is_lambda: bool) -> Mixed:
    y = torch.arange(len(x))
    images, labels = augmentation(x, y, data_keys=["input", "class"])
    rows = labels.reshape(-1, 3)
    share = rows[:, 2].double()
    weights = pair_weights(rows[:, 0], rows[:, 1], share if own_is_lambda else 1 - share, len(x))
    return Mixed(images, weights, not torch.equal(y, torch.arange(len(x))))


def _versioned(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return package
