"""How fast the house is, measured on the machine at hand: `python -m benchmarks`. Figures mean something as ratios within one run."""
