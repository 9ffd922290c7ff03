# make quickstart: from nothing to a comparison of five codecs. make test: the test suite, then those tests that
# begin many processes of their own, those that need Chromium, where there is one, and the docs site. make
# docs: the site alone, in site/. All make .venv first, with the versions of constraints.txt; all they need is
# Python 3.11+, make and git. Where that Python has a torch and a torchvision that will do, those are used and
# nothing of them is downloaded.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: quickstart test docs format clean

quickstart: $(VENV)/installed
	$(BIN)/slsim run scenarios/quickstart.toml

test: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest
	$(BIN)/pytest -m processes -n 0
	@if { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null; \
		then $(BIN)/pytest -m browser -n 0; \
		else echo "NOT TESTED: the report in a browser, for there is no Chromium (apt-get install chromium)"; fi
	$(MAKE) docs

docs: $(VENV)/installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build site *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "slsim needs Python 3.11 or newer: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $$($(PYTHON) scripts/shared_torch.py) $(VENV)

$(VENV)/constraints.txt: constraints.txt | $(VENV)/bin/python
	$(BIN)/python scripts/shared_torch.py -c > $@

$(VENV)/installed: pyproject.toml $(VENV)/constraints.txt
	$(BIN)/python -m pip install --quiet --constraint $(VENV)/constraints.txt --editable .
	touch $@

$(VENV)/installed-dev: pyproject.toml $(VENV)/constraints.txt
	$(BIN)/python -m pip install --quiet --constraint $(VENV)/constraints.txt --editable '.[dev]'
	touch $@ $(VENV)/installed
