"""Speed as a ratio against the naive way, measured in one run."""
