"""MNIST and data sets in its format: read, checked, split and cached. Imports modules of `nn` only."""
