# Every target sets up .venv by itself; a fresh machine needs Python 3.11 or newer and make.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup serve test test-all check fmt train bench docs image clean

setup: .venv/installed

# What serving and training need, and nothing else.
.venv/serving: pyproject.toml constraints.txt setup.py $(wildcard models/native/*.[ch] models/native/*/*.[ch])
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Refrain needs Python 3.11 or newer; run make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	@echo "installing what serving needs, without a word till it is done: one to some minutes"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	touch $@

.venv/installed: .venv/serving
	@echo "installing what the tests need; this takes some minutes"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

serve: .venv/serving
	$(BIN)/refrain serve

# What a change is tried with; the slow ones (kills, several processes, real clients, a browser) are in test-all.
test: setup
	$(BIN)/python -m pytest -m "not slow"

test-all: setup
	$(BIN)/python -m pytest

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

train: setup
	$(BIN)/refrain train recipes/penn-treebank-kn5.toml --overwrite --output runs/penn-treebank-kn5

bench: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -m benchmarks

docs: setup
	$(BIN)/python deploy/make_reference.py
	$(BIN)/zensical build --strict

image:
	docker build --tag refrain .

clean:
	rm -rf .venv build dist *.egg-info
