"""Zou, Verma, Mittal, Tang, Pham, Kannala, Bengio, Solin, Kawaguchi: MixupE, UAI 2023."""
