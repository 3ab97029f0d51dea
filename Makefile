# Each target makes the environment it needs; only Python (3.11 or newer) and make have to be there.
PYTHON ?= python3
VENV := .venv
LIGHT := .venv-base
STUDIO := $(CURDIR)/.label-studio
PIP_FLAGS := --disable-pip-version-check --quiet

.PHONY: help install demo test check bench docs label-studio clean

help:
	@echo "make demo      the whole loop on built-in scenes; light install, offline once installed"
	@echo "make install   .venv with everything"
	@echo "make test      checks and tests, in .venv"
	@echo "make label-studio   the server that the tests talk to, in $(STUDIO); make test does this too"
	@echo "make bench     speed, as ratios measured side by side"
	@echo "make docs      write docs/commands.md and the pictures in docs from the code"

install: $(VENV)/.complete

$(VENV)/.complete: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "da2k needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install $(PIP_FLAGS) --constraint constraints.txt --editable '.[all,dev]'
	touch $@

$(LIGHT)/.complete: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "da2k needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv $(LIGHT)
	$(LIGHT)/bin/python -m pip install $(PIP_FLAGS) --constraint constraints.txt --editable .
	touch $@

demo: $(LIGHT)/.complete
	$(LIGHT)/bin/da2k demo --out demo

check: $(VENV)/.complete
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

# It pins its own versions of packages that da2k uses too, so it has an environment of its own.
label-studio: $(VENV)/.complete
	$(VENV)/bin/python -c 'from pathlib import Path; from da2k.annotation.studio import prepare; prepare(Path("$(STUDIO)"), print)'

# Three processes on two cores: the tests against servers mostly wait.
test: check label-studio
	DA2K_LABEL_STUDIO=$(STUDIO) $(VENV)/bin/python -m pytest --numprocesses 3 --dist loadfile

bench: $(VENV)/.complete
	$(VENV)/bin/python -m benchmarks

docs: $(VENV)/.complete label-studio
	$(VENV)/bin/python docs/write_commands.py
	$(VENV)/bin/python docs/write_protocols.py
	$(VENV)/bin/python docs/write_datasets.py
	$(VENV)/bin/python docs/write_scenes.py
	DA2K_LABEL_STUDIO=$(STUDIO) $(VENV)/bin/python docs/write_annotate.py
	$(VENV)/bin/python docs/write_leaderboard.py

clean:
	rm -rf $(VENV) $(LIGHT) $(STUDIO) demo build dist
