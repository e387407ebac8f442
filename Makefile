# chatd: `make run` needs git, make and python3-venv, and changes nothing outside this folder.

SHELL := /bin/bash
PYTHON ?= python3
ARGS ?=

APT_LINE := sudo apt install git make python3-venv
TEST_APT_LINE := sudo apt install chromium gcc libc6-dev nodejs npm strace

BIN := .venv/bin
PYTEST ?= $(BIN)/pytest
TRIAL ?= $(BIN)/trial
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run dev test bench lint types cover modules conformance wheel clean

help: ## say what there is to make
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 16
	@echo
	@echo "  make run ARGS='--help' tells the options of chatd."

# The shell is away while Ctrl-C is chatd's to answer; ended by a signal is what was asked for.
run: .venv/.run ## start chatd (ARGS='--ws tcp:1919' and so on)
	@trap : INT; $(BIN)/chatd serve $(ARGS); status=$$?; \
	  case $$status in 130|143) exit 0;; *) exit $$status;; esac

dev: .venv/.dev ## start chatd, and again whenever a source changes
	@trap : INT; $(BIN)/watchfiles --sigint-timeout 10 '$(BIN)/chatd serve $(ARGS)' \
	  chatd web twisted/plugins/chatd_plugin.py; status=$$?; \
	  case $$status in 130|143) exit 0;; *) exit $$status;; esac

# Tests with daemons and browsers wait more than they work: meanwhile the rest runs, by both runners.
test: .venv/.test .venv/.node ## run all tests with both runners, in random order
	@rm -f .venv/outside.xml .venv/inside.xml .venv/inside.log; status=0; missing=; \
	  $(MAKE) -j2 -k outside inside || status=1; \
	  cat .venv/inside.log; \
	  $(BIN)/python .ci/skipped .venv/outside.xml .venv/inside.xml; \
	  for program in "chromium chromium-browser google-chrome" "node nodejs" npm strace "cc gcc clang"; do \
	    command -v $$program >/dev/null || missing="$$missing $${program%% *}"; \
	  done; \
	  [ -z "$$missing" ] || echo "Not here:$$missing. To test that too: $(TEST_APT_LINE)"; \
	  exit $$status

OUTSIDE := tests/integration tests/browser

.PHONY: outside inside
outside:
	@$(PYTEST) -rs --junit-xml=.venv/outside.xml $(OUTSIDE)

inside:
	@( status=0; \
	  $(PYTEST) -rs --junit-xml=.venv/inside.xml $(OUTSIDE:%=--ignore=%) || status=1; \
	  CHATD_TEST_AGAIN=1 PYTHONWARNINGS=error $(TRIAL) --random=0 tests || status=1; \
	  exit $$status ) >.venv/inside.log 2>&1

bench: .venv/.bench .venv/.peers .venv/.load ## measure chatd beside others (ARGS='--help' and so on)
	@$(BIN)/python -m benchmarks $(ARGS)

lint: .venv/.lint ## check style and format
	@$(BIN)/ruff check && $(BIN)/ruff format --check

types: .venv/.lint .venv/.test ## check types
	@$(BIN)/mypy

cover: .venv/.test .venv/.node ## run pytest and report coverage: 95 % of chatd, 100 % of its rules
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -q
	@$(MAKE) covered

.PHONY: covered
covered: .venv/.test
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --fail-under=95
	@$(BIN)/coverage report --fail-under=100 --include='chatd/core/*'

modules: .venv/.test ## check that each module's own tests cover it
	@$(BIN)/python .ci/modules

conformance: .venv/.test ## run the WebSocket conformance suite (PYTHON27=/path/to/python2.7)
	@$(BIN)/python .ci/conformance

wheel: .venv/.run ## build the wheel, install it elsewhere and try it
	@$(BIN)/python .ci/wheel

clean: ## remove what make made
	@rm -rf .venv tests/js/node_modules benchmarks/peers/node_modules _trial_temp* tests.test_* \
	  .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.* twisted/plugins/dropin.cache
	@find chatd tests twisted benchmarks -name __pycache__ -prune -exec rm -rf {} +

# Checked before .venv is begun, so that nothing half made stays behind.
.venv/.made:
	@command -v $(PYTHON) >/dev/null || \
	  { echo "chatd needs Python 3.11 or later: $(APT_LINE)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "chatd needs Python 3.11 or later, $(PYTHON) is $$($(PYTHON) -V 2>&1)." >&2; \
	    echo "With a later one beside it: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make virtual environments: $(APT_LINE)" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || \
	  { echo "Making .venv"; $(PYTHON) -m venv --clear .venv; }
	@touch $@

# One stamp for each set of packages: a second `make` starts at once.
.venv/.run: .venv/.made pyproject.toml
	@echo "Installing chatd into .venv"
	@$(PIP) -e .
	@touch $@

.venv/.test .venv/.lint .venv/.dev .venv/.bench: .venv/.%: .venv/.made pyproject.toml
	@echo "Installing chatd[$*] into .venv"
	@$(PIP) -e '.[$*]'
	@touch $@ .venv/.run

# The npm package is for tests only: without npm, or with no way to it, they say what they skip.
.venv/.node: .venv/.made tests/js/package.json
	@if command -v npm >/dev/null; then \
	  echo "Installing the tests' npm package into tests/js"; \
	  npm install --loglevel=error --no-package-lock --no-audit --no-fund --prefix tests/js && touch $@ || \
	  { echo "npm install failed: tests that need it will not run" >&2; [ "$$CI" != true ]; }; \
	fi

# No package's install script is run: they are not needed, Bun's program comes as a package of its own.
.venv/.peers: .venv/.made benchmarks/peers/package.json
	@if command -v npm >/dev/null; then \
	  echo "Installing the benchmarks' npm packages into benchmarks/peers"; \
	  npm install --ignore-scripts --loglevel=error --no-package-lock --no-audit --no-fund \
	    --prefix benchmarks/peers && touch $@ || \
	  echo "npm install failed: the benchmarks will skip what needs it" >&2; \
	fi

# The benchmarks' load generator, in C.
.venv/.load: .venv/.made benchmarks/load/build $(wildcard benchmarks/load/*.[ch])
	@command -v $${CC:-cc} >/dev/null || \
	  { echo "The load generator needs a C compiler: sudo apt install gcc libc6-dev" >&2; exit 1; }
	@echo "Building .venv/load"
	@benchmarks/load/build .venv/load && touch $@
