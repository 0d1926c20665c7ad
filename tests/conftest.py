"""Settings of every test: one thread, and the same examples in each run of hypothesis."""

import torch
from hypothesis import settings

# the tensors are tiny: threads only wait for one another, and sums would depend on how many there are
torch.set_num_threads(1)

settings.register_profile("reproducible", derandomize=True, deadline=None, database=None, max_examples=50)
settings.load_profile("reproducible")
