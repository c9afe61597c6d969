# The commands of a contributor; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Additional arguments: `make sweep ARGS="--seeds 0-1 --epochs 2"` is a short sweep.
ARGS ?=
# Compiled files are kept: without those of the tests, each test process would compile them at each start.
export PYTHONDONTWRITEBYTECODE =
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# uv installs in seconds what takes pip a minute. It does not know pip's settings, a mirror for example: then pip does it.
install = $(BIN)/uv pip install --quiet --no-cache --compile-bytecode --python $(BIN)/python $(1) || $(PIP_INSTALL) $(1)

.DEFAULT_GOAL := help
.PHONY: help setup sweep test test-unit test-slow test-torch chaos chaos-report compose-test audit lint format lock bench bench-peers screenshots docs docs-serve clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/bin/python:
	@command -v "$(PYTHON)" >/dev/null || \
	  { echo "There is no Python interpreter $(PYTHON). Try: make PYTHON=python3 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Seedsweep needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.13 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Creating $(VENV)"
	@$(PYTHON) -m venv $(VENV_OPTIONS) $(VENV) || { rm -rf $(VENV); echo "Cannot create a virtual environment with $(PYTHON) (on Debian: apt install python3-venv)" >&2; exit 1; }

$(VENV)/.runtime: requirements.txt requirements-build.txt requirements-uv.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing the pinned packages (once)"
	@$(PIP_INSTALL) --require-hashes -r requirements-uv.txt
	@$(call install,--require-hashes -r requirements.txt -r requirements-build.txt)
	@$(call install,--no-build-isolation --no-deps --editable .)
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	@echo "Installing the pinned development packages"
	@$(call install,--require-hashes -r requirements-dev.txt)
	@touch $@

setup: $(VENV)/.dev ## create .venv with the runtime and development packages

# What `orchestrator report` needs besides.
$(VENV)/.report: requirements-report.txt $(VENV)/.runtime
	@echo "Installing the pinned packages of the report"
	@$(call install,--require-hashes -r requirements-report.txt)
	@touch $@

sweep: $(VENV)/.report ## train 5 seeds x 4 learning rates x 10 epochs, say which rate to use, and write a report
	@$(BIN)/orchestrator sweep --report $(ARGS)
	@command -v orchestrator >/dev/null || echo "To call orchestrator by its name: . $(BIN)/activate" >&2

# Three test processes per core, because many tests wait for a process or a lease to end.
PROCESSES ?= $$(( $$(nproc) * 3 ))
# The server under test is the Valkey of the embedded cluster, or another program: `make test SERVER=redis-server`.
PYTEST := $(if $(SERVER),SEEDSWEEP_TEST_SERVER=$(SERVER)) $(BIN)/python -m pytest
PARALLEL := $(PYTEST) -n $(PROCESSES) --dist worksteal
test: $(VENV)/.dev ## run the tests (about five minutes on two cores)
	$(PARALLEL) -m "not slow and not chaos and not compose" $(ARGS)

test-unit: $(VENV)/.dev ## run the unit tests, which start no process and no server (about 20 seconds)
	$(PYTEST) -n $$(nproc) --dist worksteal -m "not slow" tests/unit $(ARGS)

# axe-core for the tests of pages, which skip without it, and Mermaid for the documentation site.
NPM := tests/browser/node_modules/.package-lock.json
$(NPM): tests/browser/package-lock.json
	@if command -v npm >/dev/null; then npm ci --prefix tests/browser --ignore-scripts --no-audit --no-fund --loglevel error; \
	else echo "There is no npm, so the accessibility of pages is not tested (on Debian: apt install npm)" >&2; fi

test-slow: $(VENV)/.dev $(VENV)/.docs $(NPM) ## run the slow tests (the marker of each gives the reason)
	$(PARALLEL) -m slow --timeout 3600 $(ARGS)

# PyTorch's wheels bring 3 GB of CUDA. Debian's package does not, and needs a Python of Debian.
TORCH_PYTHON ?= /usr/bin/python3
test-torch: ## run the tests of PyTorch, with Debian's python3-torch
	@if $(TORCH_PYTHON) -c "import torch"; then \
	  $(MAKE) --no-print-directory VENV=build/torch VENV_OPTIONS=--system-site-packages PYTHON=$(TORCH_PYTHON) setup && \
	  build/torch/bin/python -m pytest -n 3 tests/optional tests/trainers/test_frameworks.py -k pytorch $(ARGS); \
	else echo "PyTorch is not tested: $(TORCH_PYTHON) lacks it (on Debian: apt install python3-torch)" >&2; test -z "$$CI"; fi

# `make chaos SEEDS=300` runs more seeds, `FIRST_SEED=20` other ones, and `SEED=17 make chaos` repeats one. The runs are
# shared by SHARDS processes. A run waits for leases and restarts half of its time, hence one more than cores.
SEEDS ?= 20
SHARDS ?= $(if $(SEED),0,$$(( $$(nproc) + 1 )))
chaos: $(VENV)/.dev ## kill real processes at random moments and check the guarantees
	SEEDS=$(SEEDS) $(PYTEST) -n $(SHARDS) --dist worksteal -m chaos tests/chaos $(ARGS)

chaos-report: $(VENV)/.dev ## write the figures of the last `make chaos` into docs/explanation/guarantees.md
	$(BIN)/python -m tests.chaos.summary

compose-test: $(VENV)/.dev ## build the image and test a cluster of containers (needs Docker)
	$(PYTEST) -m compose tests/compose $(ARGS)

# A known vulnerability fails the target until it is fixed (`make lock`) or listed here with a reason (--ignore-vuln ID).
# If the advisory service is unreachable, the target warns and passes. Any other error fails it.
UNREACHED := ^requests\.exceptions\.(Connection|Proxy)Error: |^requests\.exceptions\.(Connect|Read)Timeout: |:Could not connect to OSV
audit: $(VENV)/.dev ## check the pinned packages for known vulnerabilities
	@found=$$($(BIN)/pip-audit --requirement requirements-report.txt --require-hashes --disable-pip \
	  --vulnerability-service osv --progress-spinner off --timeout 15 $(ARGS) 2>&1); status=$$?; \
	if test $$status -ne 0 && echo "$$found" | tail -n 2 | grep -qE '$(UNREACHED)'; then \
	  echo "$$found" | tail -n 1 >&2; echo "The advisory service is unreachable: NOTHING WAS AUDITED" >&2; \
	else echo "$$found"; exit $$status; fi

bench: $(VENV)/.dev ## run the benchmarks one after another (on an idle machine)
	for name in kernel draws sweep lease redis_memory durability gate bounded_reads trainers coverage leaderboard report; do $(BIN)/python benchmarks/$$name.py || exit; done

$(VENV)/.peers: requirements-peers.txt $(VENV)/.runtime
	@echo "Installing the pinned packages of the other tools (once)"
	@$(call install,--require-hashes -r requirements-peers.txt)
	@touch $@

# In an environment of its own: what the other tools bring must not reach .venv.
bench-peers: ## measure Ray Tune, Optuna, Dask and joblib beside Seedsweep (ten minutes, on an idle machine)
	@$(MAKE) --no-print-directory VENV=build/peers build/peers/.peers
	@build/peers/bin/python benchmarks/peers.py --write docs/results/peers.md $(ARGS)

screenshots: $(VENV)/.dev ## take the pictures of the report for the documents (needs Chromium)
	$(BIN)/python -m tests.support.screenshots

$(VENV)/.docs: requirements-docs.txt $(VENV)/.runtime
	@echo "Installing the pinned packages of the documentation site"
	@$(call install,--require-hashes -r requirements-docs.txt)
	@touch $@

MKDOCS = @test -e $(NPM) || { echo "The site needs npm (on Debian: apt install npm)" >&2; exit 1; }; \
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs
docs: $(VENV)/.docs $(NPM) ## build the documentation site in site/; a warning or a broken link fails
	$(BIN)/python docs/make_reference.py
	$(MKDOCS) build $(ARGS)

docs-serve: $(VENV)/.docs $(NPM) ## show the documentation site, and build it again when a page changes
	$(MKDOCS) serve $(ARGS)

lint: $(VENV)/.dev ## check with ruff, mypy --strict and import-linter
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev ## format the code and apply automatic fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

COMPILE := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet $(UPGRADE)
# `make lock UPGRADE=` pins packages that are new in pyproject.toml and upgrades nothing.
UPGRADE ?= --upgrade
lock: $(VENV)/.dev ## pin the newest allowed packages, with hashes
	$(COMPILE) pyproject.toml --output-file requirements.txt
	$(COMPILE) pyproject.toml --extra optuna --constraint requirements.txt --output-file requirements-optuna.txt
	$(COMPILE) pyproject.toml --extra report --constraint requirements-optuna.txt --output-file requirements-report.txt
	$(COMPILE) pyproject.toml --extra docs --constraint requirements-report.txt --output-file requirements-docs.txt
	$(COMPILE) --group build --constraint requirements.txt --output-file requirements-build.txt
	$(COMPILE) --group install --output-file requirements-uv.txt
	$(COMPILE) --group frameworks --constraint requirements.txt --output-file requirements-frameworks.txt
	$(COMPILE) --group peers --constraint requirements-optuna.txt --output-file requirements-peers.txt
	$(COMPILE) --group dev --constraint requirements-optuna.txt --constraint requirements-report.txt \
	  --constraint requirements-build.txt --constraint requirements-uv.txt --constraint requirements-docs.txt \
	  --output-file requirements-dev.txt

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist site
