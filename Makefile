# Everything a developer does here. State of the installation lives in .venv alone; `make clean` forgets it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# A newer Python than 3.11 will do, whatever its name; none is ever downloaded.
PYTHONS := python3 python3.14 python3.13 python3.12 python3.11
ARGS :=
BIN := .venv/bin
STAMP := .venv/.stamp

# A .venv whose Python is gone, after an upgrade of the system, is none: everything is installed again.
$(shell test -x $(BIN)/python || rm -rf $(STAMP))

# uv trusts what the machine trusts, such as a company's proxy, and uses the Python it is given.
export UV_SYSTEM_CERTS := true
export UV_PYTHON_DOWNLOADS := never
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME

.PHONY: help
help: ## list the targets
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 18

.PHONY: install
install: $(STAMP)/dev ## install everything, locked, into .venv

.PHONY: emulators
emulators: $(STAMP)/emulators ## install the emulator of BigQuery, which some tests start, into .venv/bigquery

.PHONY: up
up: $(STAMP)/run ## sync examples/quickstart and show it; ARGS are passed on (ARGS=--once)
	@$(BIN)/costhook up examples/quickstart $(ARGS)

.PHONY: dev
dev: $(STAMP)/dev ## run a control plane from KUBEBUILDER_ASSETS with CRDs and examples, and costhook over it
	@$(BIN)/python -m tests.e2e.dev

.PHONY: test
test: $(STAMP)/dev ## run the whole test suite; ARGS are passed on to pytest, such as --cov
	@$(BIN)/pytest --numprocesses logical --dist worksteal $(ARGS)

.PHONY: lint
lint: $(STAMP)/dev ## check style, types and layers
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: format
format: $(STAMP)/dev ## put the code into shape
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

.PHONY: bench
bench: $(STAMP)/dev ## measure speed and memory against the goals of docs/performance.md (ARGS=--rows=100000)
	@$(BIN)/python -m tests.bench $(ARGS)

.PHONY: schema
schema: $(STAMP)/run ## write schema.graphql and the JSON schema of messages from the code
	@$(BIN)/python -m api.schema > schema.graphql.new
	@mv schema.graphql.new schema.graphql
	@$(BIN)/python -m reconciler.channels.message > docs/channels/message.schema.json.new
	@mv docs/channels/message.schema.json.new docs/channels/message.schema.json

.PHONY: crds
crds: $(STAMP)/run ## write crds/ from the models of the kinds
	@$(BIN)/python -m reconciler.kinds.crds crds
	@$(BIN)/python charts/document.py

.PHONY: chart
chart: $(STAMP)/run ## write the chart's README, schema and CRDs from what they follow from
	@$(BIN)/python charts/document.py

.PHONY: dashboards
dashboards: $(STAMP)/dev ## write the Grafana dashboards that the chart ships from charts/dashboards
	@$(BIN)/python -m charts.dashboards

.PHONY: docs
docs: $(STAMP)/dev ## check the documentation: links, code, guides, reasons
	@$(BIN)/pytest --no-cov -q tests/unit/test_docs.py

.PHONY: lock
lock: $(STAMP)/uv ## renew the requirements files from pyproject.toml; ARGS=--upgrade raises every version
	@$(COMPILE) $(PROJECT) --group install --output-file requirements.txt $(ARGS)
	@$(COMPILE) $(PROJECT) --group dev --constraint requirements.txt --output-file requirements-dev.txt $(ARGS)
	@$(COMPILE) --group emulators --output-file requirements-emulators.txt $(ARGS)

.PHONY: clean
clean: ## remove what was installed, built and cached here; .costhook, the data, stays
	rm -rf .venv build dist *.egg-info htmlcov .coverage .coverage.*
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- what the targets stand on -----------------------------------------------------------------------------

# Releases younger than a week are left alone: what is wrong with them is mostly found by then.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--annotation-style line --custom-compile-command 'make lock' --exclude-newer '7 days'
PROJECT = pyproject.toml --all-extras
INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python

$(STAMP)/dev: requirements-dev.txt $(STAMP)/run
	@echo "Installing what development needs"
	@$(INSTALL) --require-hashes --requirement requirements-dev.txt
	@touch $@

$(STAMP)/run: requirements.txt pyproject.toml $(STAMP)/uv
	@echo "Installing what Costhook needs"
	@$(INSTALL) --require-hashes --requirement requirements.txt
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

# The emulator's database looks for its extension below the home folder, of which this one is a stand-in.
$(STAMP)/emulators: requirements-emulators.txt $(STAMP)/uv
	@echo "Installing the emulator of BigQuery"
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv/bigquery
	@$(BIN)/uv pip install --quiet --python .venv/bigquery/bin/python --require-hashes --requirement $<
	@mkdir -p .venv/bigquery/home
	@HOME=$(CURDIR)/.venv/bigquery/home .venv/bigquery/bin/python -c \
	  "from duckdb_extensions import import_extension; import_extension('spatial')"
	@touch $@

# The venv, begun afresh if it was never finished, and uv in it: by pip, which knows the machine's settings, in the
# version and with the hashes of the lock.
$(STAMP)/uv:
	@echo "Making .venv"
	@for python in $(PYTHONS); do \
	  if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    $$python -m venv --clear .venv; \
	    break; \
	  fi; \
	done
	@test -x $(BIN)/python || { \
	  echo "Costhook needs Python 3.11 or newer with its venv module; found $$(python3 --version 2>/dev/null || echo none)."; \
	  echo "On Debian and Ubuntu: apt-get install python3 python3-venv"; \
	  exit 1; \
	} >&2
	@mkdir -p $(STAMP)
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.txt > $(STAMP)/uv.txt
	@$(BIN)/python -m pip install -qq --no-deps --require-hashes --requirement $(STAMP)/uv.txt
	@touch $@
