"""The structured second moments: their quadratic forms and products against plain matrices, and against plain sums."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from msda_theory import Augmentation, Beta, Mixture
from msda_theory.masks import SAMPLERS, Bernoulli, CutMix, GMix, HMix, MaskLaw, Mixup, Stochastic, interval_cover
from msda_theory.masks._averaged import LARGEST_SHARE
from msda_theory.masks._intervals import interval_count, sliding_sums
from msda_theory.masks._moments import StationaryMoment, UniformMoment
from msda_theory.masks._separable import BoxMoment, SeparableMoment
from msda_theory.masks._shared_sums import _cumulated, integral_image
from tests import oracles
from tests.helpers import assert_close
from tests.masks.cases import CASES, Case
from verify.tolerances import rounding

exact_cases = pytest.mark.parametrize("case", [case for case in CASES if not case.fields], ids=str)
LAWS: list[MaskLaw] = [
    Mixup((4, 5)),
    Bernoulli((4, 5)),
    *(CutMix((7, 5), sampler=s) for s in SAMPLERS),
    *(HMix((4, 6), r=0.6, sampler=s) for s in SAMPLERS),
    HMix((3, 4), r=0.0, sampler="inside"),
    GMix((4, 5), kernel="printed"),
    GMix((4, 5), kernel="released"),
    Stochastic((5, 4), q=0.3, sampler="clip"),
]
every_law = pytest.mark.parametrize("law", LAWS, ids=str)


def vectors(count: int, size: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Not centred, so that the constant part of a moment counts."""
    generator = torch.Generator().manual_seed(3)
    return (torch.randn(count, size, generator=generator, dtype=torch.float64) + 0.5).to(dtype)


def plain_form(dense: Tensor, v: Tensor) -> Tensor:
    return torch.einsum("bj,jk,bk->b", v.double(), dense, v.double())


def allowed(v: Tensor) -> Tensor:
    """Entries of a are at most 1, so |v|_1^2 bounds the terms; sums of d terms, twice, and a convolution."""
    return torch.tensor([rounding(v.dtype, float(row.abs().sum()) ** 2, 8) for row in v.double()])


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_sliding_sums_are_sums_over_the_cover(sampler: str) -> None:
    for n in (1, 2, 3, 5, 8, 13):
        v = vectors(n, 6).reshape(n, 2, 3)
        for side in range(n + 1):
            if interval_count(n, side, sampler) > 0:
                plain = torch.einsum("kn,nab->kab", interval_cover(n, side, sampler), v)
                for given in (v, v.permute(1, 2, 0).contiguous().permute(2, 0, 1)):
                    assert_close(
                        sliding_sums(given, side, sampler), plain, rounding(torch.float64, 20.0, n), f"{n}, {side}"
                    )


@every_law
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_quadratic_forms_are_those_of_the_matrix(law: MaskLaw, dtype: torch.dtype) -> None:
    v = vectors(6, law.size, dtype)
    before = v.clone()
    for ratio in (0.03, 0.3, 0.5, 0.77, 1.0):
        moment = law.second_moment(ratio)
        form = moment.quadratic_form(v)
        assert form.dtype == dtype
        assert_close(form.double(), plain_form(moment.to_dense(), v), allowed(v), f"{law} at {ratio}")
        assert_close((moment @ v.double().T).T, v.double() @ moment.to_dense(), allowed(v)[:, None], f"{law} product")
        assert torch.equal(v, before)


@exact_cases
def test_quadratic_forms_are_mean_squares_over_the_masks(case: Case) -> None:
    """v^T a v = E[((1-M) . v)^2], summed over the twin's masks."""
    v = vectors(3, case.law.size)
    for ratio in (0.2, 0.55):
        atoms = case.twin(ratio)
        plain = [sum(float(p) * _dot(mask, row) ** 2 for p, mask in atoms) for row in v.tolist()]
        assert_close(
            case.law.second_moment(ratio).quadratic_form(v),
            torch.tensor(plain, dtype=torch.float64),
            allowed(v),
            f"{ratio}",
        )


def _dot(mask: tuple[oracles.Number, ...], row: list[float]) -> float:
    return math.fsum((1 - float(m)) * x for m, x in zip(mask, row, strict=True))


@every_law
@pytest.mark.parametrize("averaged", [False, True])
def test_leading_axes_are_kept(law: MaskLaw, averaged: bool) -> None:
    v = vectors(6, law.size)
    moment = Augmentation(Beta(1.0, 1.0), law).seen_second_moment() if averaged else law.second_moment(0.4)
    flat = moment.quadratic_form(v)
    assert_close(moment.quadratic_form(v.reshape(2, 3, -1)), flat.reshape(2, 3), allowed(v).reshape(2, 3), "(2, 3, d)")
    assert_close(moment.quadratic_form(v[0]), flat[0], float(allowed(v)[0]), "(d,)")
    assert moment.quadratic_form(v[:0]).shape == (0,)
    assert moment.quadratic_form(v.new_zeros(2, 0, law.size)).shape == (2, 0)
    product, expected = (moment @ v.reshape(2, 3, -1).mT).mT, v @ moment.to_dense()
    assert_close(product, expected.reshape(2, 3, -1), allowed(v).reshape(2, 3, 1), "(2, 3, d), product")
    assert_close(moment @ v[0], expected[0], float(allowed(v)[0]), "(d,), product")


@every_law
def test_moments_are_copied_whole(law: MaskLaw) -> None:
    """What linear_operator makes an operator of again, its arguments, is all that there is to it."""
    average = Augmentation(Beta(1.0, 1.0), law).seen_second_moment()
    for moment in (law.second_moment(0.4), average):
        copied = moment.clone()
        assert type(copied) is type(moment)
        assert torch.equal(copied.to_dense(), moment.to_dense())
        v = vectors(2, law.size, torch.float32)
        assert torch.equal(copied.quadratic_form(v), moment.quadratic_form(v))
        assert copied.quadratic_form(v).dtype == (copied @ v.T).dtype == torch.float32


def test_stationary_and_uniform_moments_by_hand() -> None:
    """a_jk = kernel[j-k], and value + [j = k] also where the variance is one; the dtype is that of v."""
    kernel, v = torch.tensor([[3.0, 1.0, 0.5, 1.0]], dtype=torch.float64), vectors(3, 4)
    circulant = torch.stack([kernel[0].roll(j) for j in range(4)])
    uniform = UniformMoment(*torch.tensor([0.25, 1.0], dtype=torch.float64), size=4)
    for moment, dense in ((StationaryMoment(kernel), circulant), (uniform, torch.eye(4).double() + 0.25)):
        assert_close(moment.quadratic_form(v), plain_form(dense, v), 8 * allowed(v), "form")
        assert_close((moment @ v.T).T, v @ dense, 8 * allowed(v)[:, None], "product")
        assert moment.quadratic_form(v.float()).dtype == (moment @ v.float().T).dtype == torch.float32
        batch = torch.stack([v, -2 * v])
        assert_close(moment.quadratic_form(batch), plain_form(dense, v) * torch.tensor([[1.0], [4.0]]), 32 * allowed(v))


@pytest.mark.parametrize("offset", [0.0, 0.5])
def test_scaled_products_by_hand(offset: float) -> None:
    """E[((offset + scale b c^T) . v)^2] over two rows and three columns, summed one by one."""
    rows, columns, v, scale = vectors(2, 3), vectors(3, 4), vectors(5, 12), -0.25
    factors = torch.stack([offset + scale * torch.outer(b, c).flatten() for b in rows for c in columns])
    moment = SeparableMoment(rows, columns, offset=offset, scale=scale)
    size = rounding(torch.float64, float(factors.abs().max() * v.abs().sum(-1).max()) ** 2, 16)
    assert_close(moment.quadratic_form(v), (v @ factors.T).square().mean(-1), size, "form")
    assert_close(moment.to_dense(), factors.T @ factors / 6, size, "matrix")


def test_a_box_is_its_indicator_unless_told() -> None:
    rows, columns = interval_cover(3, 2, "inside"), interval_cover(4, 1, "inside")
    moment = BoxMoment(rows, columns, sides=(2, 1), sampler="inside")
    boxes = torch.einsum("ah,bw->abhw", rows, columns).flatten(0, 1).flatten(1)
    assert_close(moment.to_dense(), boxes.T @ boxes / len(boxes), rounding(torch.float64, 1.0, 16), "E[B B^T]")


@every_law
def test_quadratic_forms_are_differentiable(law: MaskLaw) -> None:
    v = vectors(4, law.size).requires_grad_()
    average = Augmentation(Beta(1.0, 1.0), law).second_moment()
    for moment in (law.second_moment(0.4), average):
        (gradient,) = torch.autograd.grad(moment.quadratic_form(v).sum(), v)
        expected = 2 * v.detach() @ moment.to_dense()
        assert_close(gradient, expected, 2 * allowed(v.detach())[:, None], f"gradient of {law}")


@every_law
@pytest.mark.parametrize("ratio", [Beta(1.0, 1.0), Beta(0.4, 2.0).tilted()], ids=str)
def test_averages_over_the_ratio_are_those_of_the_matrices(law: MaskLaw, ratio: Beta | Mixture) -> None:
    """What a sample sees, structured, against `seen()`, which sums matrices; and the plain average against a sum."""
    augmentation = Augmentation(ratio, law)
    v = vectors(5, law.size)
    seen, moments = augmentation.seen(), augmentation.seen_second_moment()
    share = seen.error * v.abs().sum(-1) ** 2 + 1e-11 * plain_form(seen.second, v).abs()
    assert_close(moments.quadratic_form(v), plain_form(seen.second, v), allowed(v) + share, f"seen by {law}")
    assert_close(moments.to_dense(), seen.second, float(seen.error) + 1e-11, f"matrix of {law}")
    if augmentation.exact_in_ratio:
        nodes = list(augmentation.nodes(1))
        dense = torch.stack([(a + b) * part.second_moment(r).to_dense() for part, r, a, b in nodes]).sum(0)
        assert_close(augmentation.second_moment().quadratic_form(v), plain_form(dense, v), allowed(v), f"mean of {law}")


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("shape", [(1, 6), (6, 1), (2, 9), (23, 17), (30, 30)])
def test_boxes_of_all_sides_at_once_are_their_sum_one_by_one(shape: tuple[int, int], sampler: str) -> None:
    """Small and large images have sides of both kinds: summed by their transforms, and one by one."""
    law = CutMix(shape, sampler=sampler)
    rule = Beta(0.7, 1.3).cells(law.breaks)
    average = law.averaged_second_moment(rule.ratio, rule.mass)
    for dtype in (torch.float32, torch.float64):
        v = vectors(35, law.size, dtype)
        forms = [
            m * law.second_moment(float(r)).quadratic_form(v.double())
            for r, m in zip(rule.ratio, rule.mass, strict=True)
        ]
        assert_close(average.quadratic_form(v).double(), torch.stack(forms).sum(0), allowed(v), f"{law}, {dtype}")
    sides = np.array([law.sides(float(r)) for r in rule.ratio])
    if min(shape) > 10:
        assert (sides[:, 0] > LARGEST_SHARE * shape[0]).any()
        assert (sides[:, 0] <= LARGEST_SHARE * shape[0]).any()


@pytest.mark.parametrize(
    ("side", "sampler", "message"),
    [
        (6, "inside", r"side=6: needed is 0 to n=5 pixels"),
        (-1, "clip", r"side=-1: needed is 0 to n=5 pixels"),
        (5, "printed", r"n - side = 0 positions"),
        (2, "middle", r"sampler='middle'.*'torus'"),
    ],
)
def test_a_box_that_does_not_fit_is_refused(side: int, sampler: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        interval_cover(5, side, sampler)


def test_integral_images_are_cumulative_sums() -> None:
    images = vectors(3, 20).reshape(3, 4, 5)
    expected = torch.nn.functional.pad(images.cumsum(1).cumsum(2), (1, 0, 1, 0)).permute(2, 1, 0)
    assert_close(integral_image(images), expected, rounding(torch.float64, 20.0, 20), "integral image")


def test_a_photograph_s_average_needs_no_matrix() -> None:
    law = CutMix((48, 64), sampler="inside")
    augmentation = Augmentation(Beta(1.0, 1.0), law)
    v = vectors(2, law.size)
    forms = [
        (a + b) * part.second_moment(r).quadratic_form(v)
        - b * v.sum(-1) ** 2
        + 2 * b * v.sum(-1) * (v @ part.mean(r).flatten())
        for part, r, a, b in augmentation.nodes(1)
    ]
    assert_close(augmentation.seen_second_moment().quadratic_form(v), torch.stack(forms).sum(0), allowed(v), "48 x 64")


def test_sums_are_cumulated_where_the_lines_are() -> None:
    """And not on the default device, which here holds no numbers."""
    lines = vectors(5, 4).reshape(5, 2, 2)
    with torch.device("meta"):
        found = _cumulated(lines)
    assert_close(found, lines.cumsum(0), rounding(torch.float64, float(lines.abs().sum(0).max()), 5))


def test_what_cannot_be_is_refused() -> None:
    moment = CutMix((3, 4), sampler="inside").second_moment(0.5)
    with pytest.raises(ValueError, match=r"v has shape \(2, 11\).*needed is a floating tensor \(\.\.\., 12\)"):
        moment.quadratic_form(torch.zeros(2, 11))
    with pytest.raises(ValueError, match=r"v has shape.*int64.*floating"):
        moment.quadratic_form(torch.zeros(2, 12, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"label='realised'.*label='nominal'.*4096"):
        Augmentation(Beta(1.0, 1.0), CutMix((3, 4), sampler="clip"), label="realised").seen_second_moment()
