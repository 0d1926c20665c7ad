"""The papers' figures, computed anew: `python -m figures ID ... --out DIR`."""
