"""Equations (1)-(5): Mixup and CutMix as instances of one framework, and which sample fills the box."""

from __future__ import annotations

from flint import fmpq

from paper_checks.exact_cases import BOX_SAMPLERS, HALF, RATIOS, described, problem
from paper_checks.findings import DEPENDS, FAILS, Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.park2022.coefficients import largest
from paper_checks.park2022.enumeration import box_atoms, gaps, law_second_moment
from paper_checks.registry import claim
from verify.tiny_laws import Cell, Mask, Number, TinyLaw, cutmix, mixup
from verify.tiny_problems import BetaInt, TinyProblem, average, mixed, msda_loss

IMAGE = (2, 3)
AT = (fmpq(1, 3), fmpq(3, 5), fmpq(4, 5))


def kept_in_the_box(boxes: TinyLaw) -> TinyLaw:
    """M = 1 in the box and 0 outside: 1 - M(1-lambda), as a box of area lambda is one of 1-lambda turned about."""

    def turned(cell: Cell) -> Cell:
        def atoms(lam: Number) -> list[tuple[Number, Mask]]:
            return [(p, [1 - v for v in mask]) for p, mask in cell.atoms(1 - lam)]

        return Cell(1 - cell.right, 1 - cell.left, atoms)

    return TinyLaw(f"{boxes.name}, box kept", boxes.size, tuple(turned(c) for c in reversed(boxes.cells)))


def equation5(p: TinyProblem, law: TinyLaw, ratio: BetaInt) -> Number:
    """(5): (1/m^2) sum_ij E E_M l(z_ij), the pair mixed as (2) and (3) write it, their labels lambda and 1-lambda."""

    def of(i: int, j: int) -> Number:
        def loss(lam: Number, mask: Mask) -> Number:
            return p.loss(mixed(mask, p.x[i], p.x[j]), lam * p.y[i] + (1 - lam) * p.y[j])

        return average(law, ratio.density, loss)

    m = len(p.x)
    return sum(of(i, j) for i in range(m) for j in range(m)) / fmpq(m**2)


def _mixup_gap(p: TinyProblem, ratio: BetaInt) -> Number:
    """(5) with x = lambda x_i + (1-lambda) x_j written out, less (4) with the mask lambda 1."""
    m, one_pixel = len(p.x), mixup(1)

    def of_pairs(lam: Number, _: Mask) -> Number:
        pairs = [(i, j) for i in range(m) for j in range(m)]
        points = [[lam * a + (1 - lam) * b for a, b in zip(p.x[i], p.x[j], strict=True)] for i, j in pairs]
        labels = [lam * p.y[i] + (1 - lam) * p.y[j] for i, j in pairs]
        return sum(p.loss(x, y) for x, y in zip(points, labels, strict=True)) / fmpq(m**2)

    return average(one_pixel, ratio.density, of_pairs) - msda_loss(p, mixup(len(p.w)), ratio)


@claim("park2022:eq1-5", fault="the law of lambda not mirrored")
def framework(trial: Trial) -> Finding:
    p = problem(6, 2, linear=False, centred=False)
    instances = [_mixup_gap(p, ratio) for ratio in RATIOS]
    losses: dict[str, list[Number]] = {"same law": [], "law mirrored": []}
    coefficients: list[Number] = []
    for sampler in BOX_SAMPLERS:
        lost = cutmix(*IMAGE, sampler)
        kept = kept_in_the_box(lost)
        instances += [equation5(p, lost, RATIOS[0]) - msda_loss(p, lost, RATIOS[0])]
        for ratio in RATIOS:
            other = trial.plant(BetaInt(ratio.b, ratio.a), ratio)
            loss = msda_loss(p, kept, ratio)
            losses["same law"].append(loss - msda_loss(p, lost, ratio))
            losses["law mirrored"].append(loss - msda_loss(p, lost, other))
        for lam in AT:
            coefficients += gaps(law_second_moment(kept, lam), law_second_moment(lost, lam))
    uneven = [g for k, g in enumerate(losses["same law"]) if RATIOS[k % len(RATIOS)].a != RATIOS[k % len(RATIOS)].b]
    even = [g for k, g in enumerate(losses["same law"]) if RATIOS[k % len(RATIOS)].a == RATIOS[k % len(RATIOS)].b]
    figures = {
        "(5) less (4), Mixup and CutMix": largest(instances),
        "a_jk, box kept less box lost": largest(coefficients),
        "loss, box kept less box lost, alpha = beta": largest(even),
        "loss, box kept less box lost, alpha != beta": largest(uneven),
        "problem": described(kept_in_the_box(cutmix(*IMAGE, "inside")), p, RATIOS[1]),
    }
    corrected = Corrected(
        "M is 0 in a box of relative area 1-lambda and 1 elsewhere, as in sec. 4, so that x_j fills the box; with M "
        "= 1 in a box of area lambda the loss for Beta(alpha, beta) is that of sec. 4 for Beta(beta, alpha), and "
        "a_jk is 1 - P(j in the box) - P(k in the box) + P(both in the box)",
        verdict_of(all(g == 0 for g in losses["law mirrored"]) and _kept_coefficient(trial)),
        Evidence("exact", {"largest gap of the losses, law mirrored": largest(losses["law mirrored"])}),
    )
    reason = (
        "Mixup and CutMix are instances of (1) and (4); a mask 'that indicates the location of the cropped box region "
        "with a relative area lambda' read as 1 in a box of area lambda is not sec. 4's, 0 in a box of area 1-lambda: "
        "a_jk differs, and the loss if alpha is not beta; read as 1 on what is left of x_i, of area lambda, it is"
    )
    as_expected = (
        all(g == 0 for g in instances)
        and all(g == 0 for g in even)
        and any(g != 0 for g in uneven)
        and any(g != 0 for g in coefficients)
        and corrected.verdict == verdict_of(True)
    )
    return Finding(DEPENDS if as_expected else FAILS, reason, Evidence("exact", figures), corrected)


def _kept_coefficient(trial: Trial) -> bool:
    """a_jk of a box that is kept, from the box alone."""
    lam, n = HALF, 3  # 2 x 2 of 3 x 3 pixels, [sqrt(lambda) n] = 2
    for sampler in BOX_SAMPLERS:
        atoms = box_atoms((n, n), (2, 2), sampler)
        inside = [(p, [1 - v for v in mask]) for p, mask in atoms]
        first = [sum(p * box[j] for p, box in inside) for j in range(n * n)]
        both = [[sum(p * box[j] * box[k] for p, box in inside) for k in range(n * n)] for j in range(n * n)]
        stated = [[1 - first[j] - first[k] + both[j][k] for k in range(n * n)] for j in range(n * n)]
        if any(g != 0 for g in gaps(law_second_moment(kept_in_the_box(cutmix(n, n, sampler)), lam), stated)):
            return False
    return True
