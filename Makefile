PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.PHONY: demo test docs fuzz check clean

demo: .venv/installed
	$(BIN)/beyondcam demo --out demo

test: .venv/tested check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2

docs: .venv/tested
	OMP_NUM_THREADS=1 $(BIN)/python docs/pictures.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo open site/index.html

fuzz: .venv/tested
	$(BIN)/python tests/fuzz/readers.py --seconds 100

check: .venv/tested
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python docs/pictures.py --blank
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir build/site

clean:
	rm -rf .venv demo build site docs/pictures src/*.egg-info .mypy_cache .ruff_cache .pytest_cache

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'beyondcam needs Python 3.11 or newer: make PYTHON=/path/to/python3.11'; exit 2; }
	$(PYTHON) -m venv .venv
	$(PIP) --editable .
	@touch $@

.venv/tested: .venv/installed
	$(PIP) --editable '.[test]'
	@touch $@
