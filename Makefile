# Everything here works from a clean clone with Python >= 3.11, make and a package index.
#
#   make demo    set up, replay a recording and two workloads through three designs, print the reports
#   make test    set up with the test tools and run everything that continuous integration runs
#   make bench   measure speed and memory, and print the ratios of docs/performance.md
#   make docs    write the generated documents again
#   make clean   remove what the targets above made

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Two workers suit two cores; the compiled simulators are shared between them through the cache on disk.
JOBS ?= 2

.PHONY: demo test lint check bench docs clean

demo: $(VENV)/.installed
	$(BIN)/pipeline demo -o demo

test: lint check

lint: $(VENV)/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/sqlfluff lint queries

check: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

bench: $(VENV)/.installed-test
	$(BIN)/python benchmarks/bench.py
	$(BIN)/python benchmarks/queries.py

docs: $(VENV)/.installed
	$(BIN)/python docs/generate.py

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: wanted Python >= 3.11, found $$($(PYTHON) --version); try make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
