# `make` alone lists the targets. The tools live in $(VENV), which is made on first use
# and refreshed when pyproject.toml changes.

PYTHON ?= python3
VENV ?= .venv
# A requirement such as "Django==5.2.*", to test with another release than the newest.
DJANGO ?= Django
# Handed to pytest as they are, for example PYTEST_ARGS="-x tests/store".
PYTEST_ARGS ?= -n 2
# Handed to the command of `make demo` and `make bench`, for example ARGS=--once.
ARGS ?=

BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test test-sqlite test-postgres lint check bench pictures clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) …"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[admin,dev]' '$(DJANGO)'
	@touch $@

demo: $(READY) ## Run the demo (ARGS=--once: run it once and stop)
	$(BIN)/python manage.py demo $(ARGS)

test: test-sqlite test-postgres ## Run the tests on SQLite, then on PostgreSQL

test-sqlite: $(READY) ## Run the tests on SQLite
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# After the other suite, also under `make -j`: both want every core.
test-postgres: $(READY) $(if $(filter test check,$(MAKECMDGOALS)),test-sqlite) ## Run the tests on PostgreSQL (DATABASE_URL, or a server of their own)
	$(BIN)/python -m pytest --postgres $(PYTEST_ARGS)

lint: $(READY) ## Run every check but the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict django_durable
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check
	$(BIN)/python manage.py check

check: lint test ## Run every check, then the tests: what a change must pass

bench: $(READY) ## Run the benchmarks
	$(BIN)/python -m bench $(ARGS)

pictures: $(READY) ## Photograph the demo for README and docs, in Chromium
	$(BIN)/python -m tests.browser.pictures

clean: ## Remove everything that was generated, $(VENV) included
	rm -rf $(VENV) build dist .ci/venvs .ci/logs .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	rm -f db.sqlite3 db.sqlite3-wal db.sqlite3-shm
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
