"""Park, Yun, Chun: A Unified Analysis of Mixed Sample Data Augmentation, NeurIPS 2022."""
