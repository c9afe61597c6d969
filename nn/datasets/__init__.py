"""MNIST and data sets in its format: read, checked, split and kept ready. Imports only modules of `nn`."""
