# The image of workers, Flower, the orchestrator and the live report. Build it with `docker compose build`.
FROM python:3.13-slim AS wheel
WORKDIR /source
COPY requirements-build.txt .
RUN python -m venv /build && /build/bin/pip install --no-cache-dir --require-hashes -r requirements-build.txt
COPY pyproject.toml README.md LICENSE ./
COPY nn nn
COPY worker worker
COPY orchestrator orchestrator
COPY seedsweep seedsweep/
RUN /build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .

FROM python:3.13-slim AS packages
COPY requirements-report.txt .
# With those of the report, 96 MB (benchmarks/report.py), so that one image serves all. The packages' tests are not needed
# in an image.
RUN python -m venv /opt/seedsweep \
 && /opt/seedsweep/bin/pip install --no-cache-dir --no-compile --require-hashes -r requirements-report.txt \
 && find /opt/seedsweep -type d -name tests -prune -exec rm -rf {} +
COPY --from=wheel /wheels /wheels
COPY docker/warm.py /warm.py
# Every source file gets a fixed modification time: builds become reproducible, and numba accepts a cached kernel only if
# its source has the same time as when it was compiled. Bytecode does not depend on times at all (unchecked-hash). pip is
# not needed at run time.
RUN /opt/seedsweep/bin/pip install --no-cache-dir --no-compile --no-deps /wheels/*.whl \
 && rm -rf /opt/seedsweep/lib/python3.13/site-packages/pip* /opt/seedsweep/bin/pip* \
 && echo /opt/trainers/lib/python3.13/site-packages > /opt/seedsweep/lib/python3.13/site-packages/trainers.pth \
 && find /opt/seedsweep -name '*.py' -exec touch -d @1700000000 {} + \
 && /opt/seedsweep/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/seedsweep \
 && /opt/seedsweep/bin/python /warm.py /opt/seedsweep/kernels

FROM python:3.13-slim
RUN groupadd --gid 10001 seedsweep && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp seedsweep \
 && install -d -o seedsweep -g seedsweep /var/cache/seedsweep /runs /flower /opt/trainers \
    /secrets/redis /secrets/worker /secrets/orchestrator /secrets/flower /secrets/report
COPY --from=packages /opt/seedsweep /opt/seedsweep
COPY docker/acl.py docker/make_secrets.py /usr/local/lib/seedsweep/
COPY --chmod=0755 docker/entrypoint /usr/local/bin/
# An image with more trainers is built upon this one by `RUN pip install ...` (docs/how-to/own-trainer.md): the base image's pip
# looks at Seedsweep's packages, and installs beside them what is missing there.
ENV PATH=/opt/seedsweep/bin:$PATH \
    PIP_PYTHON=/opt/seedsweep/bin/python \
    PIP_PREFIX=/opt/trainers \
    SEEDSWEEP_CACHE_DIR=/var/cache/seedsweep \
    NUMBA_CACHE_DIR=/tmp/kernels \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /tmp
ENTRYPOINT ["entrypoint"]
CMD ["worker"]
