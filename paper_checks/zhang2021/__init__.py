"""Zhang, Deng, Kawaguchi, Ghorbani, Zou: How Does Mixup Help with Robustness and Generalization?, ICLR 2021."""
