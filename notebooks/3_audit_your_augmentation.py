# %% [markdown]
# # Audit your augmentation
#
# What does the augmentation in your pipeline really do?  Which $\lambda$ weighs the labels after a box was clipped?
# Is there one mask a batch or one a sample?  `mt.audit` feeds it batches of indicators, recovers the masks that it
# drew and says which theorems apply to it.  It needs the callable alone.

# %%
import importlib.util

import matplotlib.pyplot as plt
import numpy as np
import torch

import msda_theory as mt

torch.set_num_threads(1)

# %% [markdown]
# ## A mixer of one's own
#
# CutMix as it is often written: the box is centred anywhere and cut off at the border, and the labels keep the
# $\lambda$ that was drawn, whatever is left of the box.


# %%
def my_cutmix(x, y):
    """x (n, C, H, W), y rows (n, K)."""
    ratio = np.random.beta(1.0, 1.0)  # noqa: NPY002, as such code does it
    partner = torch.randperm(len(x))
    height, width = x.shape[-2:]
    row, column = np.random.randint(height), np.random.randint(width)  # noqa: NPY002
    half_rows, half_columns = (int(np.sqrt(1 - ratio) * n / 2) for n in (height, width))
    top, bottom = max(row - half_rows, 0), min(row + half_rows, height)
    left, right = max(column - half_columns, 0), min(column + half_columns, width)
    mixed = x.clone()
    mixed[..., top:bottom, left:right] = x[partner][..., top:bottom, left:right]
    return mixed, ratio * y + (1 - ratio) * y[partner]


report = mt.audit(my_cutmix, shape=(3, 16, 24), draws=1000)
report

# %% [markdown]
# Every number comes with a bound; all of them hold at once but for one run in a million (`false_alarm`).  A single
# finding can be asked for, in a test of your own for example:

# %%
print(report["label"])
print(*(f"{h.theorem}: {h.verdict}" for h in report.hypotheses), sep="\n")
assert report.best.fits and "CutMix" in report.best.law

# %% [markdown]
# ## The mean mask
#
# The papers assume $E[M] = \lambda \vec 1$ in every pixel.  A box that stays inside the image, or is cut off at its
# border, covers the border less often than the middle.


# %%
def show_means(reports):
    figure, panels = plt.subplots(
        1, len(reports), figsize=(3.2 * len(reports), 2.4), squeeze=False, layout="constrained"
    )
    for panel, found in zip(panels[0], reports, strict=True):
        drawn = panel.imshow(found.maps.mean.value, vmin=0.3, vmax=0.8, cmap="viridis")
        panel.set_title(f"{found.name}: mean of M", fontsize=9)
        panel.axis("off")
    figure.colorbar(drawn, ax=panels)
    plt.show()


show_means([report])

# %% [markdown]
# ## A library's
#
# kornia's, torchvision's and timm's mixers are understood as they are, their labels included.  Where kornia is not
# installed, a second mixer of our own stands in, with one mask a sample.


# %%
def my_mixup(x, y):
    """One ratio a sample."""
    ratio = torch.rand(len(x), dtype=x.dtype)
    partner = torch.randperm(len(x))
    kept, labels = ratio.view(-1, 1, 1, 1), ratio.unsqueeze(1)
    return kept * x + (1 - kept) * x[partner], labels * y + (1 - labels) * y[partner]


def mixers():
    if importlib.util.find_spec("kornia") is None:
        return [my_mixup]
    from kornia.augmentation import RandomCutMixV2, RandomMixUpV2

    return [
        RandomMixUpV2(p=1.0, data_keys=["input", "class"]),
        RandomCutMixV2(p=1.0, data_keys=["input", "class"], use_correct_lambda=True),
    ]


reports = [mt.audit(mixer, shape=(3, 16, 24), draws=500) for mixer in mixers()]
reports[-1]

# %%
show_means(reports)
for found in reports:
    print(f"{found.name:16} is closest to {found.best.law}; {found.expansion}")

# %% [markdown]
# From the shell, with a figure and JSON: `python -m verify --audit kornia:RandomCutMixV2 --figure audit.png`.
#
# Next: `4_design_a_mask`.
