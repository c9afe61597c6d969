"""Compiles the default network's kernel, for every target that the entrypoint may choose, into a cache folder."""

import os
import subprocess
import sys

COMPILE = (
    'from nn.kernel.engine import warm_up; warm_up((784, 128, 64, 10), dtype="float32", objective="cross_entropy")'
)

for target in ("generic", "haswell", "skylake-avx512"):
    environment = os.environ | {"NUMBA_CPU_NAME": target, "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": sys.argv[1]}
    subprocess.run([sys.executable, "-c", COMPILE], env=environment, check=True)
