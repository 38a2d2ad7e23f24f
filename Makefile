# On a machine with Python 3.11, git and make, `make demo` is all it takes.
#
#   PYTHON=...             another interpreter (3.11 or newer)
#   PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu   PyTorch without CUDA, a tenth of the download

PYTHON ?= $(shell for p in python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt

# Two workers at least share the cores: one thread of torch each, or they fight for them. `worksteal` deals the tests
# out in runs of neighbours, so that a module's fixture is mostly made once.
XDIST := OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal
# pytest exits with 5 where no test carries the marker.
UNLESS_NONE := || [ $$? -eq 5 ]

.DEFAULT_GOAL := help
.PHONY: help demo test check slow bench bench-language docs format clean
.DELETE_ON_ERROR:

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.core  ## install fathom into .venv and run its demo
	$(BIN)/fathom demo

test: $(VENV)/.dev  ## the tests, but the slow ones
	$(XDIST)

check: $(VENV)/.dev  ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

slow: $(VENV)/.dev  ## the slow tests
	$(XDIST) -m slow --durations=10

bench: $(VENV)/.bench  ## fathom beside its peers, on a quiet machine
	$(BIN)/pytest -m bench $(UNLESS_NONE)
	$(BIN)/python benchmarks/training_speed.py
	$(BIN)/python benchmarks/start_up.py
	$(BIN)/python benchmarks/reading.py
	$(BIN)/python benchmarks/beyond_memory.py
	$(BIN)/python benchmarks/ensembles.py
	$(BIN)/python benchmarks/diagnostics.py
	$(BIN)/python benchmarks/tables.py
	$(BIN)/python benchmarks/tables.py --times
	$(BIN)/python benchmarks/pictures.py

bench-language: $(VENV)/.bench  ## texts: classes, a language model, writing, translation; hours on a quiet machine
	$(BIN)/python benchmarks/texts.py
	$(BIN)/python benchmarks/language_model.py
	$(BIN)/python benchmarks/generation.py
	$(BIN)/python benchmarks/translation.py

docs: $(VENV)/.docs  ## the documentation, into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

format: $(VENV)/.dev  ## rewrite the source as `make check` wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove the environment and the caches; runs/ stays
	rm -rf $(VENV) build dist site .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp says what is installed. A richer install is also a core one, so that no stamp installs twice.
$(VENV)/.core: pyproject.toml constraints.txt
	$(call install,.)
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt
	$(call install,.[dev])
	@touch $(VENV)/.core $@

$(VENV)/.docs: pyproject.toml constraints.txt
	$(call install,.[docs])
	@touch $(VENV)/.core $@

$(VENV)/.bench: pyproject.toml constraints.txt
	$(call install,.[all])
	@touch $(VENV)/.core $(VENV)/.dev $(VENV)/.docs $@

# A venv without pip is one whose making broke off: made again.
define install
@test -n "$(PYTHON)" || { echo "fathom needs Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 2; }
@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
@echo "installing $(1) into $(VENV) (the first time takes minutes: torch is large)" >&2
@$(PIP) -e '$(1)'
endef
