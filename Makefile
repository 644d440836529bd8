# make start | test | lint | docs | check | bench
PYTHON ?= python3
BIN := .venv/bin
TORCH := $(shell grep -E '^torch==' constraints.txt)

.PHONY: start test lint docs check bench clean

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("tuner needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

start: .venv/installed  ## tune the shipped example
	$(BIN)/tune start digits

test: .venv/installed-dev  ## the whole suite
	$(BIN)/pytest -q -n 2

lint: .venv/installed-dev  ## style, types, layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/installed-dev  ## the documentation, into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

check: lint docs test  ## what CI runs

bench: .venv/installed-dev  ## the figures of docs/benchmarks.md
	$(BIN)/python benchmarks/bookkeeping.py
	$(BIN)/python benchmarks/population.py
	$(BIN)/python -m benchmarks.throughput
	$(BIN)/python -m benchmarks.costs
	$(BIN)/python -m benchmarks.quality
	$(BIN)/python -m benchmarks.chaos --after 20
	$(BIN)/python -m benchmarks.dashboard
	$(BIN)/python -m benchmarks.honesty

clean:
	rm -rf .venv site .mypy_cache .ruff_cache .pytest_cache .hypothesis
