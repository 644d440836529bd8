# make start | test | lint | docs | check | coverage | wheel | bench
PYTHON ?= python3
BIN := .venv/bin
TORCH := $(shell grep -E '^torch==' constraints.txt)

.PHONY: start test lint docs check coverage wheel bench clean

.venv/torch: constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("tuner needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check $(TORCH)
	touch $@

.venv/installed: pyproject.toml .venv/torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/installed-dev: pyproject.toml .venv/torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .  # Ray brings a `tune`, too: ours is the last
	touch .venv/installed $@

start: .venv/installed  ## tune the shipped example
	$(BIN)/tune start digits

test: .venv/installed-dev  ## the whole suite
	$(BIN)/pytest -q -n 2 --dist worksteal

lint: .venv/installed-dev  ## style, types, layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/installed-dev  ## the documentation, into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict  # --quiet would hide warnings from --strict, too

check: lint docs test  ## what CI runs

coverage: .venv/installed-dev  ## the suite, and the lines of tuner/ that it does not reach
	$(BIN)/pytest -q -n 2 --dist worksteal --cov --cov-report=term --cov-report=html:build/coverage

wheel:  ## build the wheel, install it alone in a new environment, tune with it
	rm -rf dist build/wheel
	$(PYTHON) -m venv build/wheel
	build/wheel/bin/pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	build/wheel/bin/pip install --quiet --disable-pip-version-check $(TORCH)
	build/wheel/bin/pip install --quiet --disable-pip-version-check -c constraints.txt dist/*.whl
	cd build/wheel && bin/tune --help >/dev/null && bin/tune --version
	cd build/wheel && bin/tune start digits --trials 3 --set trainer.epochs=2 --quiet && bin/tune verify

bench: .venv/installed-dev  ## the figures of docs/benchmarks.md
	$(BIN)/python benchmarks/bookkeeping.py
	$(BIN)/python benchmarks/fused.py
	$(BIN)/python -m benchmarks.throughput
	$(BIN)/python -m benchmarks.costs
	$(BIN)/python -m benchmarks.ownloop
	$(BIN)/python -m benchmarks.loops
	$(BIN)/python -m benchmarks.start
	$(BIN)/python -m benchmarks.quality
	$(BIN)/python -m benchmarks.chaos --after 20
	$(BIN)/python -m benchmarks.dashboard
	$(BIN)/python -m benchmarks.honesty
	$(BIN)/python -m benchmarks.samplers --samplers tpe cmaes nsga2

clean:
	rm -rf .venv site build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
