# All targets work from a clean clone. They require Python >= 3.11, make and a package index.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Number of test workers. They share compiled simulators through the cache on disk.
JOBS ?= 2

.PHONY: help demo test lint site check sample slowest campaigns bench docs documents goldens clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1 /p' Makefile | while read -r target what; do \
		printf '  make %-10s %s\n' "$$target" "$$what"; done

demo: $(VENV)/.installed ## set up, replay a recording and two workloads through three allocators, write the reports
	$(BIN)/pipeline demo -o demo

test: lint site check sample ## set up the test tools and run everything that continuous integration runs

lint: $(VENV)/.installed-test ## check format, style, types, layers, SQL and prose
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/sqlfluff lint queries
	$(BIN)/python docs/prose.py

site: $(VENV)/.installed-test ## build the documentation site in site/ and check every link
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

check: $(VENV)/.installed-test ## run the tests
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

sample: $(VENV)/.installed-test ## run the test campaigns for two minutes
	$(BIN)/python -m tests.campaigns --minutes 2

slowest: $(VENV)/.installed-test ## run the tests and list the 30 slowest
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --durations 30 --durations-min 5

campaigns: $(VENV)/.installed-test ## test the guarantees of docs/reliability.md for an hour; failing inputs are kept in campaigns/
	$(BIN)/python -m tests.campaigns --minutes 60

bench: $(VENV)/.installed-test ## measure speed and memory, and print the ratios of docs/performance.md
	$(BIN)/python benchmarks/bench.py
	$(BIN)/python benchmarks/reference.py
	$(BIN)/python benchmarks/sweeps.py
	$(BIN)/python benchmarks/queries.py
	$(BIN)/python benchmarks/reporting.py
	$(BIN)/python benchmarks/start.py

docs: $(VENV)/.installed-test ## regenerate the parts of documents that come from code, and the output of examples
	$(BIN)/python docs/generate.py

documents: docs ## run `docs` and the studies: docs/validation.md, claims.md, designs.md and vmap-designs.md; takes minutes
	$(BIN)/pipeline study lockmeter --document docs/validation.md --force
	$(BIN)/pipeline study claims --document docs/claims.md --force
	$(BIN)/pipeline study matrix --document docs/designs.md --force
	$(BIN)/pipeline study vmap --document docs/vmap-designs.md --force

goldens: $(VENV)/.installed-test ## regenerate the pinned fingerprints in tests/runs/goldens.json
	UPDATE_GOLDENS=1 $(BIN)/python -m pytest tests/runs/test_golden.py

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: expected Python >= 3.11, found $$($(PYTHON) --version); try make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,docs]'
	@touch $@ $(VENV)/.installed

clean: ## remove everything that the other targets create
	rm -rf $(VENV) demo site build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
