"""The audit itself: draw, estimate, judge, report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

from torch import nn

from msda_theory._validation import require_at_least, require_finite_positive, require_kind, require_shape
from msda_theory.audit._adapters import Adapter, adapter
from msda_theory.audit._bounds import mean_bound
from msda_theory.audit._closed_forms import fits
from msda_theory.audit._conventions import (
    axes,
    forced,
    label_rule,
    mixes_constantly,
    mutation,
    pairing,
    sharing,
)
from msda_theory.audit._draws import Draws, batch_means, draw, require_room
from msda_theory.audit._hypotheses import Facts, expansion, hypotheses
from msda_theory.audit._labels import AuditError
from msda_theory.audit._moment_lines import fit_line, mean_line, role_line
from msda_theory.audit._moments import mean_gaps, mean_mask, second_moments
from msda_theory.audit._probe import Shares, global_state_kept, read_shares
from msda_theory.audit._report import AuditReport, Maps
from msda_theory.ratios import Beta, RatioLaw

#: families of simultaneous statements that share the false-alarm rate: the mean and its two gaps, the two second
#: moments, the ratio's symmetry, pairs (two), batches left alone
FAMILIES = 9
LARGEST = 2**28
#: of two moments of one law that are each good to a few eps
SYMMETRIC = 1e-12


def audit(
    augmentation: Callable[..., Any],
    shape: Sequence[int] = (3, 32, 48),
    *,
    batch: int = 6,
    draws: int = 2000,
    seed: int = 0,
    false_alarm: float = 1e-6,
    labels: str | None = None,
    ratio: RatioLaw | None = None,
    at_ratio: Callable[[float], Callable[..., Any]] | None = None,
) -> AuditReport:
    """Recover the masks M and the label weights of a callable that mixes a batch, and hold them against the theory.

    augmentation(x, y), x (batch, *shape) and y labels, returns the mixed images and labels: rows (batch, K), or labels,
    partners' labels and ratio; or images alone.  kornia's, torchvision's and timm's own labels are understood.

    Parameters
    ----------
    shape, batch, draws, seed
        images (C, H, W), with H and W apart so that mistaken axes show; images a call; calls; seed of all of them
    false_alarm
        probability that any bound of the report fails to hold
    labels
        what y is: "one-hot" rows (batch, batch+1), the default, "classes", or "none" for augmentation(x)
    ratio
        the law of lambda under which the library's laws are compared; its documented one, or Beta(1, 1)
    at_ratio
        at_ratio(v) gives the same augmentation with the ratio set to v

    Raises
    ------
    AugmentationFailedError
        if the augmentation raises; its own error is the cause
    AuditError
        if it returns other shapes, is not linear, does not mix pixel by pixel, mixes more than two samples, or draws
        from a generator of its own

    >>> import torch
    >>> def my_mixup(x, y):
    ...     ratio, other = torch.rand(()), torch.randperm(len(x))
    ...     return ratio * x + (1 - ratio) * x[other], ratio * y + (1 - ratio) * y[other]
    >>> report = audit(my_mixup, shape=(1, 4, 6), draws=200)
    >>> report.best.law, report["ratio"].answer
    ('Mixup((4, 6))', 'one a batch')
    """
    if not callable(augmentation):
        raise TypeError(f"augmentation is a {type(augmentation).__name__}: needed is a callable (x, y) -> mixed (x, y)")
    size = _checked(shape, batch, draws, seed, false_alarm, ratio)
    adapted = adapter(_own_copy(augmentation), labels, at_ratio)
    share = false_alarm / FAMILIES
    drawn = draw(adapted, size, batch, draws, seed, share)
    if drawn.used.sum() < 2:
        raise AuditError(f"{adapted.name} mixed no two samples in {draws} draws: there is no mask to report")
    law = ratio if ratio is not None else adapted.ratio or Beta(1.0, 1.0)
    return _report(drawn, adapted, law, size, seed, false_alarm, ratio is None and adapted.ratio is None)


def draw_masks(
    augmentation: Callable[..., Any],
    shape: Sequence[int] = (3, 32, 48),
    *,
    batch: int = 6,
    draws: int = 2000,
    seed: int = 0,
    false_alarm: float = 1e-6,
    labels: str | None = None,
) -> Draws:
    """The masks, label weights and partners of `draws` calls, as `audit` recovers them."""
    size = _checked(shape, batch, draws, seed, false_alarm, None)
    return draw(adapter(_own_copy(augmentation), labels, None), size, batch, draws, seed, false_alarm)


def draw_shares(
    augmentation: Callable[..., Any],
    shape: Sequence[int],
    *,
    batch: int = 6,
    seed: int = 0,
    labels: str | None = None,
) -> Shares:
    """The share of every input in every pixel of every output of one call; also where more than two are mixed."""
    size = _checked(shape, batch, 2, seed, 0.5, None)
    with global_state_kept():
        return read_shares(adapter(_own_copy(augmentation), labels, None), size, batch, seed)


def _checked(
    shape: Sequence[int], batch: int, draws: int, seed: int, false_alarm: float, ratio: RatioLaw | None
) -> tuple[int, int, int]:
    channels, height, width = require_shape(shape, dimensions=3)
    require_at_least("batch", batch, 2, "mixing needs two images")
    require_at_least("draws", draws, 2, "a variance needs two")
    require_at_least("seed", seed, 0, "as numpy takes it")
    require_finite_positive("false_alarm", false_alarm)
    if false_alarm >= 1:
        raise ValueError(f"false_alarm={false_alarm!r}: needed is a probability below 1")
    if ratio is not None:
        require_kind("ratio", ratio, RatioLaw)
    require_room(draws, batch, (channels, height, width), LARGEST)
    return channels, height, width


def _own_copy(augmentation: Callable[..., Any]) -> Callable[..., Any]:
    """A module keeps notes of its last call; the caller's is left as it is."""
    return deepcopy(augmentation) if isinstance(augmentation, nn.Module) else augmentation


def _report(
    drawn: Draws,
    adapted: Adapter,
    law: RatioLaw,
    size: tuple[int, int, int],
    seed: int,
    false_alarm: float,
    assumed: bool,
) -> AuditReport:
    share = false_alarm / FAMILIES
    batch, draws = drawn.mixed.shape[1], len(drawn.mixed)
    second, roles = second_moments(drawn, share)
    mean, gaps = mean_mask(drawn, share), mean_gaps(drawn, share)
    label = label_rule(drawn)
    rule = str(label.figures["rule"])
    symmetric = _symmetric(drawn, law, rule, share)
    facts = Facts(mixes_constantly(drawn), gaps, roles, symmetric, rule, float(gaps[0].bound.max()))
    ranked = fits(second, drawn, law)
    lines = (
        mean_line(mean, facts),
        label,
        *sharing(drawn),
        pairing(drawn, share),
        role_line(facts),
        axes(drawn),
        forced(adapted, size, batch, seed, share),
        mutation(drawn),
        fit_line(ranked, second, law, assumed),
    )
    return AuditReport(
        name=adapted.name,
        shape=size,
        batch=batch,
        draws=draws,
        seed=seed,
        false_alarm=false_alarm,
        ratio=repr(law),
        lines=lines,
        fits=ranked,
        hypotheses=hypotheses(facts),
        expansion=expansion(facts),
        maps=Maps(mean, gaps[0], second),
        notes=adapted.notes,
    )


def _symmetric(drawn: Draws, law: RatioLaw, rule: str, share: float) -> bool:
    """Whether lambda and 1-lambda have the same law: in the law named, and in nominal label weights by their mean.

    (A realised weight is not lambda: sides that are rounded to whole pixels make the mean area kept larger.)
    """
    if any(abs(law.moment(p) - law.moment(0, p)) > SYMMETRIC for p in (1, 2, 3)):
        return False
    means = batch_means(drawn.weight, drawn.mixed)
    bound = float(mean_bound(means.var(ddof=1), len(means), share, 1)) + drawn.doubt
    return rule in ("realised", "none") or bool(abs(means.mean() - 0.5) <= bound)
