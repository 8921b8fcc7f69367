# A target that needs .venv sets it up first, from the lock: once, and again only when the lock or
# pyproject.toml changes.
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
PORT ?= 8888
HUB_PORT ?= 8000
# From the command line (make run OUTPUT=folder), never from whatever the environment calls OUTPUT.
OUTPUT := workbook-output
# TensorFlow 2.21 has packages for these. Without PYTHON=name, the first such Python on the PATH.
SUITS := import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$python -c '$(SUITS)' 2>/dev/null && echo $$python && break; done)

.DEFAULT_GOAL := help

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): requirements.lock pyproject.toml $(wildcard packages/*/pyproject.toml)
	@"$(PYTHON)" -c '$(SUITS)' 2>/dev/null || \
		{ echo "This needs Python 3.10, 3.11, 3.12 or 3.13, and PYTHON is '$(PYTHON)'."; \
		echo "Put one on the PATH, or name one: make setup PYTHON=python3.12"; exit 1; }
	@echo "Setting up $(VENV) with $(PYTHON): a download of some 900 MB, once."
	@{ $(BIN)/python -c '$(SUITS)' && $(BIN)/python -m pip --version; } >/dev/null 2>&1 || \
		"$(PYTHON)" -m venv --clear $(VENV) || \
		{ echo "$(PYTHON) has no venv module; on Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		-e packages/varhandle -e packages/warm-kernels -e packages/workshop -e .
	$(BIN)/python -m warm_kernels.kernelspec >/dev/null
	@touch $(READY)

setup: $(READY)  ## install everything into .venv, and stop

# Root (in a container) must be allowed by name; without a display there is no browser to open.
lab: $(READY)  ## open JupyterLab on notebook 00
	@flags="--port=$(PORT)"; \
	[ "$$(id -u)" -ne 0 ] || flags="$$flags --allow-root"; \
	[ "$$(uname)" != Linux ] || [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || flags="$$flags --no-browser"; \
	exec $(BIN)/jupyter lab $$flags --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb $(LAB_FLAGS)

# Places, gigabytes and processors for each; HUB_FLAGS for the rest (workbook hub --help).
PLACES ?= 30
MEMORY ?= 2
CPUS ?= 2
HUB_FLAGS ?=
hub: $(READY)  ## start a JupyterHub for a workshop; Ctrl-C ends it
	@exec $(BIN)/workbook hub --folder "$(OUTPUT)/hub" --port $(HUB_PORT) --places $(PLACES) \
		--memory $(MEMORY) --cpus $(CPUS) $(HUB_FLAGS)

run: $(READY)  ## execute every notebook; report in workbook-output/
	$(BIN)/workbook run --output "$(OUTPUT)"

site: $(READY)  ## execute every notebook; the workbook as pages in workbook-output/site
	$(BIN)/workbook edition html --output "$(OUTPUT)/site"

test: lint types unit notebooks browser  ## run every check there is

lint: $(READY)  ## ruff: lint and format, notebooks included
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)  ## mypy
	$(BIN)/mypy

# Two workers; a file's tests stay together, because they share what they have built.
unit: $(READY)  ## pytest: the library, the exercises, papermill
	WORKBOOK_PROGRESS=off $(BIN)/pytest -m "not browser" --numprocesses 2 --dist loadfile

notebooks: $(READY)  ## nbval: stored outputs against a fresh run, strictly
	WORKBOOK_PROGRESS=off $(BIN)/pytest --nbval --nbval-kernel-name python3 notebooks

browser: $(READY)  ## every notebook in JupyterLab, in headless Chromium
	$(BIN)/pytest -m browser

# Each is a window of JupyterLab that a browser test has just worked in.
pictures: $(READY)  ## take the README's pictures anew, in headless Chromium
	$(BIN)/pytest -m browser tests/browser -k "01_ or 02_ or digit_is_drawn"
	cp workbook-output/browser/readme-*.png docs/

bench: $(READY)  ## measure side by side; figures in benchmarks/results.md
	$(BIN)/python -m benchmarks

refresh: $(READY)  ## execute the notebooks in place and store their outputs
	$(BIN)/python -m workbook_lib.runs.canonical notebooks/[0-9]*.ipynb

text: $(READY)  ## write the notebooks as text (py:percent), to be edited in workbook-output/text
	@mkdir -p "$(OUTPUT)/text"
	@for name in notebooks/[0-9]*.ipynb; do \
		$(BIN)/jupytext --quiet --to py:percent \
			--output "$(OUTPUT)/text/$$(basename $$name .ipynb).py" $$name || exit 1; \
	done

# Nothing is touched unless every text is at least as new as its notebook. Afterwards the two agree,
# so the text is touched: the next edit of one text must not stumble over the others.
untext: $(READY)  ## bring the edited text back into the notebooks, and execute them
	@for text in "$(OUTPUT)"/text/[0-9]*.py; do \
		notebook=notebooks/$$(basename "$$text" .py).ipynb; \
		[ -e "$$text" ] || { echo "There is no text to bring back: make text comes first."; exit 1; }; \
		[ ! "$$notebook" -nt "$$text" ] || { echo "$$notebook is newer than $$text."; \
			echo "To keep the notebook: make text. To keep the text: touch $$text"; exit 1; }; \
	done
	@for text in "$(OUTPUT)"/text/[0-9]*.py; do \
		notebook=notebooks/$$(basename "$$text" .py).ipynb; \
		$(BIN)/jupytext --quiet --update --to ipynb --output $$notebook "$$text" && touch "$$text" && \
		$(BIN)/python -m workbook_lib.runs.canonical $$notebook && touch "$$text" || exit 1; \
	done

lock:  ## resolve requirements.lock anew, keeping pins that still fit (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv: https://docs.astral.sh/uv/"; exit 1; }
	uv pip compile pyproject.toml --extra test --extra runtimes --extra cluster --extra hub --universal --python-version 3.10 \
		--generate-hashes --no-header --no-annotate --quiet -o requirements.lock

clean:  ## remove .venv and what runs leave behind
	rm -rf $(VENV) workbook-output .pytest_cache .mypy_cache .ruff_cache

.PHONY: help setup lab hub run site pictures bench test lint types unit notebooks browser refresh text untext lock clean
