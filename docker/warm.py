"""Compiles the default network's kernel, for every target that the entrypoint may choose, into a cache folder."""

import multiprocessing
import os
import platform
import sys

#: The entrypoint chooses among these on x86-64. On any other machine, it takes `generic`.
TARGETS = {"x86_64": ("generic", "haswell", "skylake-avx512")}


def compile_for(target: str, folder: str) -> None:
    """Compile in this process, which has not imported numba: numba reads its variables when it is imported."""
    os.environ |= {"NUMBA_CPU_NAME": target, "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": folder}
    from nn.kernel.engine import warm_up

    warm_up((784, 128, 64, 10), dtype="float32", objective="cross_entropy")


if __name__ == "__main__":
    for chosen in TARGETS.get(platform.machine(), ("generic",)):
        # Forked, because an emulated machine may not be able to start a program.
        process = multiprocessing.get_context("fork").Process(target=compile_for, args=(chosen, sys.argv[1]))
        process.start()
        process.join()
        if process.exitcode:
            sys.exit(f"the kernel cannot be compiled for {chosen}: exit status {process.exitcode}")
