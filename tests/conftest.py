"""Settings of every test: one thread, the same draws, and the same examples in each run of hypothesis."""

import pytest
import torch
from hypothesis import settings

# the tensors are tiny: threads only wait for one another, and sums would depend on how many there are
torch.set_num_threads(1)

settings.register_profile("reproducible", derandomize=True, deadline=None, database=None, max_examples=50)
settings.load_profile("reproducible")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """torch's own generator, from which modules take their weights and tests what only has a shape."""
    torch.manual_seed(0)
