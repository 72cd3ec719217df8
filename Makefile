# Every target makes what it needs on a clean clone; the stamps keep the second run quick.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt
BASE := .venv/.stamp-base
DEV := .venv/.stamp-dev

.PHONY: help demo test check claims bench docs clean

help:
	@echo "make demo    score real solutions and explain two of them (no torch, no development tools)"
	@echo "make test    the tests, the doctests and the code blocks of the docs"
	@echo "make check   ruff, pyright and the architecture tests, in under a minute"
	@echo "make claims  the directions that papers report, shown on data"
	@echo "make bench   guerdon beside what it replaces, with the ratios"
	@echo "make docs    the site, built offline into site/"

demo: $(BASE)
	$(BIN)/python examples/demo.py

test: $(DEV)
	$(BIN)/python -m pytest -q -m "not claim"

check: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/python -m pytest -q tests/architecture

claims: $(DEV)
	$(BIN)/python -m pytest -q -m claim || [ $$? -eq 5 ] # 5: there are none yet

bench: $(BASE)
	for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

docs: $(DEV)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf .venv site build dist .pytest_cache .ruff_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("guerdon needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv

$(BASE): pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) -e .
	@touch $@

$(DEV): pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) -e '.[dev]'
	@touch $@ $(BASE)
