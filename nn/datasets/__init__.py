"""MNIST and data sets in its format: read, checked, split and cached. Imports modules of `nn` only.

What is known without reading a data set is here, where it needs no NumPy.
"""

#: The digest of MNIST, which the sources `bundled` and `openml` must have.
MNIST_DIGEST = "06ad231b5cb27e8034c864ded62b94a7309c64215e0380f3fcb26b6983fc1949"
#: The pixels of an image of MNIST, and its training samples.
MNIST_FEATURES, MNIST_SAMPLES = 784, 59_500
N_CLASSES = 10
#: The most pixels of an image's side: the index of a pixel then fits into 16 bits.
MAX_SIDE = 256
