"""The papers' claims: each with a computed verdict, its evidence, and a planted fault that its check catches."""
