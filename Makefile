# A target that needs .venv sets it up first, from the lock: once, and again only when the lock or a
# pyproject.toml changes. The lock is in layers: requirements/lab.lock is what the lessons need, and
# each other file what its targets add to that.
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
# .venv/ready says that the lessons' layer is installed, .venv/ready-test that the tests' is, ...
READY := $(VENV)/ready
PROJECTS := pyproject.toml $(wildcard packages/*/pyproject.toml)
PORT ?= 8888
HUB_PORT ?= 8000
# From the command line (make run OUTPUT=folder), never from whatever the environment calls OUTPUT.
OUTPUT := workbook-output
# TensorFlow 2.21 has packages for these. Without PYTHON=name, the first such Python on the PATH.
SUITS := import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$python -c '$(SUITS)' 2>/dev/null && echo $$python && break; done)
PIP := $(BIN)/python -m pip --disable-pip-version-check
# A folder of packages beside the Makefile (make offline) takes the place of the network.
WHEELS := $(wildcard wheels)
NO_INDEX := $(if $(WHEELS),--no-index --find-links "$(CURDIR)/wheels")
# Two workers, each as wide as one core: what a test needs is imported once a worker.
WORKERS ?= 2

.DEFAULT_GOAL := help

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# $(call install,LAYER,PACKAGES): a layer of the lock, with a line for every tenth package; then our own.
# The pipe would swallow pip's exit code, so pip says by a line that it has done its work.
define install
@echo "Installing requirements/$(1).lock:"
@{ $(PIP) install $(NO_INDEX) --progress-bar off --require-hashes -r requirements/$(1).lock && echo '# done'; } | \
	awk ' \
	/^Collecting/ { if (++n % 10 == 0) print "  fetched", n, "packages"; fflush() } \
	/^Installing collected/ { print "  unpacking", split($$0, names, ","), "packages, a minute or two"; fflush() } \
	/^Successfully installed/ { print "  installed" } \
	/^# done/ { done = 1 } END { exit !done }'
@$(PIP) install $(NO_INDEX) --quiet --no-deps --no-build-isolation $(foreach package,$(2),-e $(package))
endef

$(READY): requirements/lab.lock $(PROJECTS)
	@"$(PYTHON)" -c '$(SUITS)' 2>/dev/null || \
		{ echo "This needs Python 3.10, 3.11, 3.12 or 3.13, and PYTHON is '$(PYTHON)'."; \
		echo "Put one on the PATH, or name one: make setup PYTHON=python3.12"; exit 1; }
	@echo "Setting up $(VENV) with $(PYTHON): $(if $(WHEELS),from wheels/,a download of some 700 MB), once."
	@{ $(BIN)/python -c '$(SUITS)' && $(PIP) --version; } >/dev/null 2>&1 || \
		"$(PYTHON)" -m venv --clear $(VENV) || \
		{ echo "$(PYTHON) has no venv module; on Debian: apt-get install python3-venv"; exit 1; }
	$(call install,lab,packages/varhandle packages/warm-kernels packages/workshop .)
	@$(BIN)/python -m warm_kernels.kernelspec >/dev/null
	@touch $@

$(READY)-test: requirements/test.lock $(READY)
	$(call install,test,packages/workshop)
	@touch $@

$(READY)-site: requirements/site.lock $(READY)
	$(call install,site,.)
	@touch $@

$(READY)-hub: requirements/hub.lock $(READY)
	$(call install,hub,packages/workshop)
	@touch $@

setup: $(READY)  ## install what the lessons need into .venv, and stop

# Your own copy of the lessons, beside them, so that it is easily found; git does not see it. It stays
# as you leave it, and make clean leaves it alone; WORKBOOK_FOLDER names another place.
WORKBOOK_FOLDER ?= my-workbook
# Root (in a container) must be allowed by name; without a display there is no browser to open.
lab: $(READY)  ## open JupyterLab on notebook 00 of your own copy, in my-workbook/
	@$(BIN)/workbook edition learner --output "$(WORKBOOK_FOLDER)"
	@flags="--port=$(PORT)"; PATH="$(CURDIR)/$(BIN):$$PATH"; \
	[ "$$(id -u)" -ne 0 ] || flags="$$flags --allow-root"; \
	[ "$$(uname)" != Linux ] || [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || flags="$$flags --no-browser"; \
	exec $(BIN)/jupyter lab $$flags "--ServerApp.root_dir=$(WORKBOOK_FOLDER)" \
		--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb $(LAB_FLAGS)

# Places, gigabytes and processors for each; HUB_FLAGS for the rest (workbook hub --help).
PLACES ?= 30
MEMORY ?= 2
CPUS ?= 2
HUB_FLAGS ?=
hub: $(READY)-hub  ## start a JupyterHub for a workshop; Ctrl-C ends it
	@exec $(BIN)/workbook hub --folder "$(OUTPUT)/hub" --port $(HUB_PORT) --places $(PLACES) \
		--memory $(MEMORY) --cpus $(CPUS) $(HUB_FLAGS)

# In any case it ends with the text that is to be mailed back.
machine:  ## before a workshop: set up, and print whether this computer is ready
	@$(MAKE) --no-print-directory setup || echo "Setting up has failed; here is what there is:"
	@python=$(BIN)/python; [ -x $$python ] || python=python3; \
		exec $$python -m workbook_lib.machine_check

# What git has, so nothing of one's own comes along, and the packages for this system and Python.
OFFLINE = $(OUTPUT)/offline/varhandle-workbook
offline: $(READY)  ## a folder for a USB stick, from which make lab works without a network
	@rm -rf "$(OFFLINE)" && mkdir -p "$(OFFLINE)"
	@git archive HEAD | tar -x -C "$(OFFLINE)"
	@$(PIP) download $(NO_INDEX) --quiet --progress-bar off --only-binary :all: --require-hashes \
		-r requirements/lab.lock --dest "$(OFFLINE)/wheels"
	@$(BIN)/python -c 'import platform, sys; print("For", platform.system(), platform.machine(), \
		"and Python", "%d.%d" % sys.version_info[:2], "- in this folder: make lab")'
	@du -sh "$(OFFLINE)"

run: $(READY)  ## execute every notebook; report in workbook-output/
	$(BIN)/workbook run --output "$(OUTPUT)"

site: $(READY)-site  ## execute every notebook; the workbook as pages in workbook-output/site
	$(BIN)/workbook edition html --output "$(OUTPUT)/site"
	$(BIN)/python -m workbook_lib.editions.page "$(OUTPUT)/site/page"

# pyodide and LiteRT.js come from the npm registry, held to docs/page/package-lock.json; what the
# lessons in the browser import comes from PyPI, held to docs/page/lessons/wheels.lock.
page: $(READY)-site  ## the tool as a page that runs in the browser, in workbook-output/page (needs npm)
	$(BIN)/python -m workbook_lib.editions.page "$(OUTPUT)/page"

dist: $(READY)-test  ## build and check the wheel and the sdist of each package, into dist/
	@rm -rf dist
	@for project in packages/*/ .; do \
		$(BIN)/python -m build --no-isolation --outdir dist $$project >/dev/null || exit 1; \
	done
	@$(BIN)/python -m twine check --strict dist/*
	@ls dist

check: lint $(READY)-test  ## lint, types, and the tests of what changed
	$(BIN)/mypy
	WORKBOOK_PROGRESS=off $(BIN)/python tests/support/changed.py $(BY_FILE) --no-loadscope-reorder

test: lint types unit notebooks browser  ## run every check there is

lint: $(READY)-test  ## ruff: lint and format, notebooks included
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Twice, since what only a newer Python has, or types in another way, is found by its name alone; at
# the same time, since mypy takes one core.
types: $(READY)-test  ## mypy: for this Python, and for the newest
	$(BIN)/mypy --python-version 3.13 --cache-dir .mypy_cache/newest & \
		$(BIN)/mypy; code=$$?; wait $$! && exit $$code

# A file's tests stay together, because they share what they have built.
BY_FILE := --numprocesses $(WORKERS) --dist loadfile
# The longest files come first (tests/conftest.py), and not those with the most tests.
unit: $(READY)-test  ## pytest: the library, the exercises, papermill
	WORKBOOK_PROGRESS=off $(BIN)/pytest -m "not browser" $(BY_FILE) --no-loadscope-reorder

notebooks: $(READY)-test  ## nbval: stored outputs against a fresh run, strictly
	WORKBOOK_PROGRESS=off $(BIN)/pytest --nbval --nbval-kernel-name python3 notebooks $(BY_FILE)

# Test by test, to whichever worker is free: what they share is a server for each worker.
# A browser, a server and a kernel may miss each other once on a busy machine: a test that fails is run
# once more, the summary names it, and workbook-output/browser/failures.txt tells both.
# WORKBOOK_PICTURES=on also photographs each notebook from top to end, in both themes, into
# workbook-output/browser.
browser: $(READY)-test  ## every notebook in JupyterLab, in headless Chromium
	$(BIN)/pytest -m browser tests/browser --numprocesses $(WORKERS) --dist load --maxschedchunk 1 \
		-p rerunfailures --reruns 1 -raR

# Each is a window of JupyterLab that a browser test has just worked in.
pictures: $(READY)-test  ## take the README's pictures anew, in headless Chromium
	$(BIN)/pytest -m browser tests/browser -k "run_all_ends and (00_ or 14_) or digit_is_drawn"
	cp workbook-output/browser/readme-*.png docs/

bench: $(READY)-test  ## measure side by side; figures in benchmarks/results.md
	$(BIN)/python -m benchmarks

refresh: $(READY)  ## execute the notebooks in place and store their outputs
	$(BIN)/python -m workbook_lib.runs.canonical notebooks/[0-9]*.ipynb

text: $(READY)-test  ## write the notebooks as text (py:percent), to be edited in workbook-output/text
	@mkdir -p "$(OUTPUT)/text"
	@for name in notebooks/[0-9]*.ipynb; do \
		$(BIN)/jupytext --quiet --to py:percent \
			--output "$(OUTPUT)/text/$$(basename $$name .ipynb).py" $$name || exit 1; \
	done

# Nothing is touched unless every text is at least as new as its notebook. Afterwards the two agree,
# so the text is touched: the next edit of one text must not stumble over the others.
untext: $(READY)-test  ## bring the edited text back into the notebooks, and execute them
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

# First one set for everything, beginning with the pins that there are; then each layer out of it,
# without the lines that the lessons' layer has already.
COMPILE = uv pip compile --no-strip-extras pyproject.toml --group build --universal --python-version 3.10 --generate-hashes \
	--no-header --no-annotate --quiet \
	$(foreach own,varhandle warm-kernels varhandle-workshop varhandle-workbook,--no-emit-package $(own))
# What the lessons in the browser import, for the Python that is there.
BROWSER = docs/page/lessons
lock:  ## resolve the lock anew, keeping pins that still fit (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv: https://docs.astral.sh/uv/"; exit 1; }
	@all=$$(mktemp) && part=$$(mktemp) && trap 'rm -f "$$all" "$$part"' EXIT && \
	cat requirements/*.lock | awk '/^[a-z]/ { keep = !seen[$$0]++ } keep' >"$$all" && \
	$(COMPILE) --group test --group site --group hub -o "$$all" && \
	$(COMPILE) -c "$$all" -o requirements/lab.lock && \
	for layer in test site hub; do \
		: >"$$part"; $(COMPILE) --group $$layer -c "$$all" -o "$$part" && \
		awk 'NR == FNR { known[$$0]; next } /^[a-z]/ { keep = !($$0 in known) } keep' \
			requirements/lab.lock "$$part" >requirements/$$layer.lock || exit 1; \
	done
	@uv pip compile $(BROWSER)/wheels.in -o $(BROWSER)/wheels.lock --python-version 3.14 \
		--python-platform wasm32-pyodide2024 --generate-hashes --no-header --no-annotate --quiet
	@uv pip compile $(BROWSER)/kernel.in -o $(BROWSER)/kernel.lock --no-deps \
		--python-version 3.10 --generate-hashes --no-header --no-annotate --quiet

clean:  ## remove .venv and what runs leave behind
	rm -rf $(VENV) workbook-output dist .pytest_cache .mypy_cache .ruff_cache

.PHONY: help setup lab hub machine offline run site page pictures dist bench check test lint types unit notebooks browser \
	refresh text untext lock clean
