# `make` lists the targets. Nothing but make and python3 (3.11 to 3.14, with venv) needs to be there.

SHELL := /bin/sh
.DEFAULT_GOAL := help
BIN := .venv/bin
UNIT := tests/unit tests/sandbox/unit
INTEGRATION := tests/integration tests/sandbox/integration
CHECKED := lxc_dashboard pve_sandbox tasks tests bench scripts alembic rxconfig.py

# The first Python that fits; `make PYTHON=/path/to/python3 ...` names another.
PYTHON ?= $(shell for candidate in python3 python3.13 python3.12 python3.14 python3.11; do \
	$$candidate -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null \
	&& command -v $$candidate && break; done)

# Tests wait more than they compute, so several files run at once. The tests of one file stay together and share its servers.
SEVERAL := -n 3 --dist loadfile --no-loadscope-reorder
# Each worker of the browser tests runs a stack of its own.
BROWSERS := -n 2 --dist loadfile
QUICK := -m "not full"

# T=path narrows unit, integration, e2e, test and test-full: make test T=tests/unit/api
WITHOUT_BROWSER := $(if $(T),$(filter-out tests/e2e%,$(T)),$(UNIT) $(INTEGRATION))
IN_BROWSER := $(if $(T),$(filter tests/e2e%,$(T)),tests/e2e)

# Tests leave orphans and wait for their end; not every init is quick to see it.
PYTEST := $(BIN)/python -I -S scripts/reaped.py $(BIN)/pytest --durations=20
BROWSER_PYTEST := @chromium="$$($(BIN)/python scripts/chromium.py)" || exit 0; CHROMIUM="$$chromium" $(PYTEST) $(BROWSERS)

export REFLEX_TELEMETRY_ENABLED := false
# Test workers share the bytecode of rewritten tests. Images for containers often switch bytecode off.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo dev test check lint types imports pages checked unit integration e2e test-full bench lock clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { printf "  \033[1m%-12s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  T=path runs a part of the tests: make test T=tests/unit/api"
	@echo "  PORT=3002 make demo takes another port, DEMO_DATA=/some/folder make demo another folder."

.venv/.installed: requirements.lock scripts/install.py
	@test -n "$(PYTHON)" || { echo "No Python 3.11 to 3.14 with venv was found." \
		"On Debian and Ubuntu: apt-get install python3 python3-venv"; exit 1; }
	@"$(PYTHON)" scripts/install.py

# Through launch.py the demo ends with make, however make ends.
demo: .venv/.installed ## Everything on this machine with a sandbox node: http://localhost:3001
	@exec $(BIN)/python -I -S lxc_dashboard/embedded/launch.py $$PPID 15 -1 -1 $(BIN)/lxc-dashboard demo

dev: .venv/.installed ## The demo, built and started again whenever a source file changes
	@exec $(BIN)/python -I -S lxc_dashboard/embedded/launch.py $$PPID 15 -1 -1 $(BIN)/lxc-dashboard demo --reload

check: lint types imports unit ## Format, lint, types, contracts, unit tests: before each commit

lint: .venv/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/.installed
	$(BIN)/mypy $(wildcard $(CHECKED))

imports: .venv/.installed
	$(BIN)/lint-imports

# The browser tests need the pages. mypy leaves a processor free to build them meanwhile.
pages: .venv/.installed
	@$(BIN)/python -c "import os; from lxc_dashboard import frontend; frontend.ensure_built(os.environ, print)"

checked: .venv/.installed
	@$(if $(T),,$(MAKE) --no-print-directory --jobs=2 --output-sync types lint imports pages)

unit: .venv/.installed
	$(PYTEST) $(SEVERAL) $(QUICK) $(or $(T),$(UNIT))

integration: .venv/.installed ## Tests with real servers, worker, SSH and sandbox guests
	$(PYTEST) $(SEVERAL) $(QUICK) $(or $(T),$(INTEGRATION))

e2e: .venv/.installed ## Browser tests over the running stack
	$(BROWSER_PYTEST) $(QUICK) $(or $(T),tests/e2e)

test: checked ## check, integration, browser: under 15 minutes on 2 cores
	$(if $(WITHOUT_BROWSER),$(PYTEST) $(SEVERAL) $(QUICK) $(WITHOUT_BROWSER))
	$(if $(IN_BROWSER),$(BROWSER_PYTEST) $(QUICK) $(IN_BROWSER))

# coverage.py counts in the processes that the tests start, too.
test-full: export HYPOTHESIS_EXAMPLES ?= 100
test-full: checked ## Also what is rare or long, with branch coverage
	$(BIN)/coverage erase
	$(if $(WITHOUT_BROWSER),$(PYTEST) $(SEVERAL) --cov --cov-append --cov-report= $(WITHOUT_BROWSER))
	$(if $(IN_BROWSER),$(BROWSER_PYTEST) --cov --cov-append --cov-report= $(IN_BROWSER))
	$(BIN)/coverage report

bench: .venv/.installed ## All benchmarks, one after the other
	@for program in bench/*.py; do $(BIN)/python $$program || exit 1; done

bench-%: .venv/.installed ## One benchmark: make bench-start
	@$(BIN)/python bench/$*.py

lock: .venv/.installed ## requirements.lock anew from pyproject.toml, with the newest versions that fit
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links pyproject.toml --extra sandbox --group dev -o requirements.lock

clean: ## Remove what was built and cached; the demo's data in .run stays
	rm -rf .venv .web .web.lock .states build dist htmlcov .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf tests/artefacts assets/external
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
