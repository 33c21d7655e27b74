# Two commands are enough on a fresh machine with Python 3.11 or newer:
#   make demo   install the small core (no torch) and run the main job on real data
#   make test   install everything and run the whole test suite
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
TORCH := torch==2.13.0
# Processes of the test suite.
WORKERS ?= 2

.PHONY: demo test lint docs lock clean

demo: $(VENV)/.core
	$(BIN)/osler demo

test: $(VENV)/.full
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

lint: $(VENV)/.full
	$(BIN)/python -m pip install --quiet ruff==0.14.5
	$(BIN)/ruff check src tests benchmarks examples

docs: $(VENV)/.full
	$(BIN)/python docs/generate.py

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Osler needs Python 3.11 or newer; try make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: $(BIN)/python pyproject.toml locks/core.lock
	$(PIP) install --quiet --require-hashes -r locks/core.lock
	$(PIP) install --quiet --no-deps -e .
	touch $@

$(VENV)/.full: $(VENV)/.core locks/all.lock
	$(PIP) install --quiet "$(TORCH)"
	$(PIP) install --quiet --require-hashes -r locks/all.lock
	touch $@

lock:
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes --no-header --overrides locks/no-torch.txt -o locks/all.lock
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header -o locks/core.lock

clean:
	rm -rf $(VENV) build dist .pytest_cache
