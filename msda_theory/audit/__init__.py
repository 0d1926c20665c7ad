"""The audit of an augmentation that somebody else wrote: what law of masks it draws, and what theory applies to it.

    report = mt.audit(RandomCutMixV2(data_keys=["input", "class"]))
    print(report)

Nothing about its inside is assumed but that, given its random state, it is linear in the batch; that is tried in every
draw.  See `audit`.
"""

from msda_theory.audit._audit import audit, draw_masks, draw_shares
from msda_theory.audit._bounds import distribution_bound, proportion_interval
from msda_theory.audit._closed_forms import Fit, displacement_curve
from msda_theory.audit._conventions import Line
from msda_theory.audit._draws import Draws
from msda_theory.audit._hypotheses import Hypothesis
from msda_theory.audit._labels import LABELS, AuditError
from msda_theory.audit._moments import Estimate, displacement_means
from msda_theory.audit._probe import AugmentationFailedError, Shares
from msda_theory.audit._report import AuditReport, Maps

__all__ = [
    "LABELS",
    "AuditError",
    "AuditReport",
    "AugmentationFailedError",
    "Draws",
    "Estimate",
    "Fit",
    "Hypothesis",
    "Line",
    "Maps",
    "Shares",
    "audit",
    "displacement_curve",
    "displacement_means",
    "distribution_bound",
    "draw_masks",
    "draw_shares",
    "proportion_interval",
]
