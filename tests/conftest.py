"""Settings of every test: hypothesis draws the same examples in each run, and no clock decides."""

from hypothesis import settings

settings.register_profile("reproducible", derandomize=True, deadline=None, database=None, max_examples=50)
settings.load_profile("reproducible")
