# %% [markdown]
# # The theory in ten minutes
#
# Mixed-sample augmentation trains on $\tilde x = M \odot x_i + (1-M) \odot x_j$ with the label $\lambda y_i +
# (1-\lambda) y_j$: Mixup has $M = \lambda \vec 1$, CutMix a box.  Averaged over pairs, ratios and masks that is one
# number, the exact loss (Park, Yun and Chun 2022, eq. (4)).  Their Theorem 1 says what it is to second order: the
# standard loss and three regularisers,
#
# $$L^{\text{MSDA}} = L_m + R_1 + R_2 + R_3 + \text{remainder}.$$
#
# Here both sides are computed, and held against each other.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits

import msda_theory as mt
from msda_theory import symbolic

torch.manual_seed(0)
torch.set_num_threads(1)

# %% [markdown]
# Thirty images of a 0 or a 1, centred (the paper assumes it), and a small network trained for a moment.

# %%
digits = load_digits()
chosen = np.flatnonzero(digits.target < 2)[:30]
x = torch.from_numpy(digits.images[chosen]) / 16
x, y = x - x.mean(0), torch.from_numpy(digits.target[chosen]).double()

loss = mt.losses.Logistic()
net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1)).double()
optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
for _ in range(15):
    optimiser.zero_grad()
    loss(net(x), y.unsqueeze(1)).mean().backward()
    optimiser.step()

# %% [markdown]
# ## Exact, without sampling
#
# All 900 pairs, all places of the box, and the integral over $\lambda$: no random number is drawn.

# %%
ratio = mt.Beta(1.0, 1.0)
cutmix = mt.Augmentation(ratio, mt.masks.CutMix((8, 8), sampler="inside"))
print(mt.exact_loss(net, loss, x, y, cutmix))

# %% [markdown]
# ## Beside its expansions
#
# The middle column is Theorem 1.  The last one expands about the mean mixed points instead of the data.

# %%
mt.compare(net, loss, x, y, cutmix)

# %% [markdown]
# ## Is it the right expansion?
#
# At one scale a remainder says little: a wrong term may happen to be close.  Shrink the data, $x \to \varepsilon x$:
# what a second-order expansion leaves over must fall like $\varepsilon^3$.  We try it as the paper prints it, with
# the mask's moments under the tilted law $\tilde D$, and as the library has it, with a sample in both roles of its
# pair.


# %%
def left_over(mask, as_printed, scales):
    """|exact - (L_m + R1 + R2 + R3)| at each scale of the data."""
    augmentation = mt.Augmentation(ratio, mask)
    gaps = []
    for scale in scales:
        exact = mt.exact_loss(net, loss, scale * x, y, augmentation, rtol=1e-12)
        theory = mt.taylor_loss(net, loss, scale * x, y, augmentation, as_printed=as_printed)
        gaps.append(abs(exact.value - theory.total))
    return np.array(gaps)


scales = np.array([0.001, 0.002, 0.005, 0.01, 0.03])
laws = {"Mixup": mt.masks.Mixup((8, 8)), "CutMix": mt.masks.CutMix((8, 8), sampler="inside")}
figure, panels = plt.subplots(1, 2, figsize=(8, 3.2), sharey=True, layout="constrained")
slopes = {}
for panel, (name, mask) in zip(panels, laws.items(), strict=True):
    for form, as_printed, look in (("both roles", False, "o-"), ("as printed", True, "s--")):
        gaps = left_over(mask, as_printed, scales)
        slopes[name, form] = np.polyfit(np.log(scales[:3]), np.log(gaps[:3]), 1)[0]
        panel.loglog(scales, gaps, look, label=f"{form}: slope {slopes[name, form]:.2f}")
    panel.set(title=name, xlabel="scale of the data")
    panel.legend()
panels[0].set_ylabel("|exact - expansion|")
plt.show()

# %% [markdown]
# For Mixup both forms are of third order.  For CutMix the printed one is not: the theorem fails there, and with both
# roles counted it holds.  (`5_which_theorem_fails_and_why` goes into it.)

# %%
for (name, form), slope in slopes.items():
    right = abs(slope - 3) < 0.1
    print(f"{name:7} {form:11} slope {slope:.2f}  {'second order is right' if right else 'a term is wrong'}")
    assert right == (form == "both roles" or name == "Mixup")

# %% [markdown]
# ## And as algebra
#
# The same theorem, derived from the definition of the loss; each step is reduced to zero by sympy.

# %%
symbolic.theorem1("mixup")

# %% [markdown]
# Next: `2_your_network_and_data`.
