# %% [markdown]
# # Which theorem fails, and why
#
# Three statements of the papers that are false as printed, each small enough to look at, and each with the smallest
# correction that holds.  `python -m paper_checks` goes through all of them.

# %%
import json
import subprocess
import sys
from itertools import product
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

import msda_theory as mt

torch.set_num_threads(1)
ROOT = next(folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "paper_checks").is_dir())
COUNTEREXAMPLES = ROOT / "paper_checks" / "counterexamples"

# %% [markdown]
# ## 1. Theorem 1 for CutMix: the forgotten role
#
# Park et al. write the loss as if sample $i$ were always the first of its pair, which is moved by $1-M$.  Half of the
# time it is the second, and is moved by $M$.  For Mixup that is the same thing read backwards: $M = \lambda \vec 1$
# and $1-M(1-\lambda) = \lambda \vec 1$.  For a box it is not: *inside* the box is a rectangle, *outside* is a
# rectangle with a hole.  Count it out on an image of 3 x 3 pixels, at $\lambda = 1/4$, where the box has a side of 2
# pixels.

# %%
SIDE = 2
corners = list(product(range(3 - SIDE + 1), repeat=2))
first_role = torch.zeros(3, 3, dtype=torch.float64)
for row, column in corners:
    first_role[row : row + SIDE, column : column + SIDE] += 1 / len(corners)
second_role = 1 - first_role
law = mt.masks.CutMix((3, 3), sampler="inside")
assert torch.equal(1 - law.mean(0.25), first_role)
print("P(pixel comes from the partner), sample in the first role:", first_role, "in the second:", second_role, sep="\n")

# %% [markdown]
# The printed theorem uses the first table alone, at $\lambda$ drawn from $\tilde D$.  The moments that a sample
# really sees, over both roles and all $\lambda$, are `Augmentation.seen()`; the printed ones are $E_{\tilde
# D}[a_{jk}]$.

# %%
ratio = mt.Beta(1.0, 1.0)
laws = {"Mixup": mt.masks.Mixup((8, 8)), "CutMix": mt.masks.CutMix((8, 8), sampler="inside")}
figure, panels = plt.subplots(2, 2, figsize=(6.4, 5.2), layout="constrained")
middle = 4 * 8 + 4
for row, (name, mask) in zip(panels, laws.items(), strict=True):
    printed = mt.Augmentation(ratio.tilted(), mask).second_moment().to_dense()
    seen = mt.Augmentation(ratio, mask).seen_second_moment().to_dense()
    gap = float((printed - seen).abs().max())
    assert (gap < 1e-12) == (name == "Mixup")
    for panel, (form, matrix) in zip(row, {"as printed": printed, "both roles": seen}.items(), strict=True):
        shown = panel.imshow(matrix[middle].reshape(8, 8), vmin=0, vmax=0.5)
        panel.set_title(f"{name}, {form}", fontsize=9)
        panel.axis("off")
    print(f"{name}: the two differ by {gap:.3f} at most")
figure.colorbar(shown, ax=panels, label="$A_{jk}$, j in the middle")
plt.show()

# %% [markdown]
# What it does to the expansion of a loss, on two samples that anybody can check by hand: exact, and both forms.

# %%
x = torch.stack([first_role.flatten(), -first_role.flatten()]).reshape(2, 3, 3) / 10
y = torch.tensor([1.0, 0.0], dtype=torch.float64)
cutmix = mt.Augmentation(ratio, law)


def linear(images):
    return images.flatten(1).sum(1)


def remainders(as_printed):
    found = (mt.compare(linear, mt.losses.Logistic(), x * s, y, cutmix, as_printed=as_printed) for s in (1.0, 0.5))
    return [c.remainder for c in found]


for form, as_printed in (("both roles", False), ("as printed", True)):
    whole, half = remainders(as_printed)
    print(f"{form}: remainder {whole:+.2e}, at half the scale {half:+.2e}, smaller by a factor of {whole / half:.1f}")
    assert (whole / half > 7.5) == (form == "both roles")  # 8 or more where the remainder is of third order

# %% [markdown]
# ## 2. Zhang et al., Theorem 3.1: Mixup as robust training, without centred data
#
# The approximate Mixup loss is said to be at least the adversarial loss with radii $\epsilon_i$.  The proof needs
# data with mean zero, which the theorem does not ask for.  Three numbers refute it:

# %%
example = json.loads((COUNTEREXAMPLES / "zhang2021-thm3.1.json").read_text())
x = torch.tensor([[float(v) for v in row] for row in example["data"]["x"]], dtype=torch.float64)
y = torch.tensor([float(v) for v in example["data"]["y"]], dtype=torch.float64)
print("x =", x.flatten().tolist(), " y =", y.tolist(), " theta =", *example["data"]["theta"])


def half(points):
    return points[:, 0] / 2


mixup = mt.Augmentation(ratio, mt.masks.Mixup((1,)))
radii = mt.bounds.robust_radii(half, x, y, mixup)
approximate = mt.taylor_loss(half, mt.losses.Logistic(), x, y, mixup).total
attacked = float(mt.bounds.adversarial_taylor(half, x, y, radii.eps).mean())
print(f"approximate Mixup loss {approximate:.6f}  <  adversarial loss {attacked:.6f}")
assert approximate < attacked
radii

# %% [markdown]
# The row `eta_i` has the radii for which the bound is proved, for data with any mean and any mask law.  With those:

# %%
proved = float(mt.bounds.adversarial_taylor(half, x, y, radii.eta).mean())
print(f"approximate Mixup loss {approximate:.6f}  >= adversarial loss {proved:.6f}")
assert radii.guaranteed and approximate >= proved

# %% [markdown]
# ## 3. Zhang et al., Lemma 3.3: a regulariser that is infinite
#
# The lemma divides a mixed point by its own share and so meets $E_{\tilde D}[((1-\lambda)/\lambda)^2]$.  For
# $\lambda \sim$ Beta($\alpha$, $\alpha$) it is finite for $\alpha > 1$ alone; Mixup is used with $\alpha \le 1$.

# %%
alphas = np.array([0.2, 0.5, 1.0, 1.01, 1.1, 1.5, 2.0, 4.0])
for alpha in alphas:
    moment = mt.odds_moment(mt.Beta(alpha, alpha).tilted(), 2)
    print(f"alpha {alpha:4}: {moment:10.4g}")
    assert np.isinf(moment) == (alpha <= 1)

# %% [markdown]
# A sample does not show it: the mean of any number of draws is finite, and grows.

# %%
shares = mt.Beta(1.0, 1.0).tilted().sample(10**6, seed=0)
squares = ((1 - shares) / shares) ** 2
print({f"{n:,} draws": round(float(squares[:n].mean()), 2) for n in (10**3, 10**4, 10**5, 10**6)})

# %% [markdown]
# The terms of Lemma 3.1, which is what Mixup adds, are finite for every $\alpha$:

# %%
print({alpha: round(mt.Beta(alpha, alpha).tilted().moment(0, 2), 4) for alpha in alphas.tolist()})

# %% [markdown]
# ## Every counterexample again, without this package
#
# They are kept as small JSON files with exact numbers.  A short script re-checks them in ball arithmetic; it imports
# nothing of `msda_theory`.

# %%
command = [sys.executable, COUNTEREXAMPLES / "recheck.py"]
rechecked = subprocess.run(command, check=True, capture_output=True, text=True).stdout
print(rechecked)
assert rechecked.count("refuted") == len(list(COUNTEREXAMPLES.glob("*.json")))
