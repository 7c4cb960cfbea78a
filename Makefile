# Needs python3 (3.11 or newer) and make; everything else is installed into .venv.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
# The interpreter for Django 6.1, which wants a newer Python than this project does.
PYTHON314 ?= python3.14

VENV := .venv
VENV42 := .venv-django42
VENV61 := .venv-django61
FLOORS := .venv-floors
BENCH := .venv-bench
AUDIT := .venv-audit
BIN := $(VENV)/bin

PIP_FLAGS := --quiet --disable-pip-version-check
BUILD := pip hatchling editables
# What the user's shell has exported must not decide what is tested.
unexport DJANGO_SETTINGS_MODULE PYTHONPATH PYTHONWARNINGS PYTHONHOME
unexport VIRTUAL_ENV OTEL_PYTHON_HELIOGRAPH_LEVEL OTEL_PYTHON_HELIOGRAPH_SLOW

# Without wagtail: its releases follow one Django each, and the main environment has it.
WITHOUT_WAGTAIL := --ignore-glob='tests/end_to_end/*wagtail*'

# ------------------------------------------------------------------------------------------------------------ environments

# pyright asks the first python on PATH where packages are; --verifytypes takes no --pythonpath.
WITH_PYRIGHT := PATH="$(CURDIR)/$(BIN):$$PATH" PYRIGHT_PYTHON_IGNORE_WARNINGS=1

# $(call install,VENV,CONSTRAINTS,EXTRA): the tools that build first, so that they too come from the constraints.
define install
$(BIN)/python -m pip --python $(1)/bin/python install $(PIP_FLAGS) -c constraints/$(2).txt $(BUILD)
$(BIN)/python -m pip --python $(1)/bin/python install $(PIP_FLAGS) -c constraints/$(2).txt \
	--no-build-isolation --editable '.[$(3)]'
touch $(1)/.installed
endef

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "heliograph needs Python 3.11 or newer, this is " + sys.version)'
	@echo "Installing into $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install $(PIP_FLAGS) -c constraints/main.txt pip

$(VENV)/.installed: pyproject.toml constraints/main.txt | $(BIN)/python
	@$(call install,$(VENV),main,dev)

# No pip of their own is needed: the interpreter may come without ensurepip, and $(BIN)'s pip serves them all.
$(VENV42)/.installed: pyproject.toml constraints/django42.txt | $(BIN)/python
	@echo "Installing into $(VENV42) ..."
	@$(PYTHON) -m venv --without-pip $(VENV42)
	@$(call install,$(VENV42),django42,test)

$(VENV61)/.installed: pyproject.toml constraints/django61.txt | $(BIN)/python
	@command -v $(PYTHON314) >/dev/null || { echo "No $(PYTHON314) here; say where: make $(MAKECMDGOALS) PYTHON314=/path/to/python3.14" >&2; exit 2; }
	@echo "Installing into $(VENV61) ..."
	@$(PYTHON314) -m venv --without-pip $(VENV61)
	@$(call install,$(VENV61),django61,test)

$(FLOORS)/.installed: pyproject.toml constraints/floors.txt | $(BIN)/python
	@echo "Installing into $(FLOORS) ..."
	@$(PYTHON) -m venv --without-pip $(FLOORS)
	@$(call install,$(FLOORS),floors,test)

$(BENCH)/.installed: pyproject.toml constraints/bench.txt | $(BIN)/python
	@echo "Installing into $(BENCH) ..."
	@$(PYTHON) -m venv --without-pip $(BENCH)
	@$(call install,$(BENCH),bench,bench)

# ------------------------------------------------------------------------------------------------------------------- goals

.PHONY: help
help: ## Show this help
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 20

.PHONY: install
install: $(VENV)/.installed ## Install heliograph and its tools into .venv

.PHONY: picture
picture: $(VENV)/.installed ## Draw the picture in the README anew
	@$(BIN)/python docs/picture.py

.PHONY: demo
demo: $(VENV)/.installed ## Run a small shop and see its signals
	@$(BIN)/heliograph demo

.PHONY: test
test: $(VENV)/.installed ## Run the tests (Django 5.2 on this Python)
	@$(BIN)/python -m pytest $(ARGS)

.PHONY: test-django42
test-django42: $(VENV42)/.installed ## Run the tests on Django 4.2
	@$(VENV42)/bin/python -m pytest $(WITHOUT_WAGTAIL) $(ARGS)

.PHONY: test-django61
test-django61: $(VENV61)/.installed ## Run the tests on Django 6.1 (PYTHON314=python3.14)
	@$(VENV61)/bin/python -m pytest $(WITHOUT_WAGTAIL) $(ARGS)

.PHONY: test-floors
test-floors: $(FLOORS)/.installed ## Run the tests on the oldest dependencies supported
	@$(FLOORS)/bin/python -m pytest $(WITHOUT_WAGTAIL) $(ARGS)

.PHONY: backends
backends: ## Get Jaeger, Zipkin and the Collector for e2e, once, into ~/.cache/heliograph (Go, Maven)
	@$(PYTHON) -m dashboards.backends $(ARGS)

.PHONY: e2e
e2e: $(VENV)/.installed ## Run the tests with real backends: Jaeger, Zipkin, Prometheus, the Collector
	@$(BIN)/python -m pytest -m backends tests/end_to_end/backends tests/dashboards $(ARGS)

.PHONY: figures
figures: $(VENV)/.installed ## Measure a Collector and ask each rule of a real Prometheus, for docs/collector.md and docs/alerts.md
	@HELIOGRAPH_FIGURES=1 $(BIN)/python -m pytest -q -m backends tests/dashboards/test_figures.py tests/dashboards/test_prometheus.py
	@$(BIN)/python -m dashboards.figures

.PHONY: up
up: ## Start Collector, Jaeger, Prometheus and Grafana (needs Docker), for OTLP at its usual address
	@docker compose --file dashboards/compose.yaml up --detach --wait
	@echo "Grafana http://127.0.0.1:3000  Jaeger http://127.0.0.1:16686  Prometheus http://127.0.0.1:9090"

.PHONY: down
down: ## End them; what they have stored stays
	@docker compose --file dashboards/compose.yaml down

.PHONY: dashboards
dashboards: $(VENV)/.installed ## Write Grafana's dashboards and the tables of names anew
	@$(BIN)/python -m dashboards.grafana
	@$(BIN)/python -m dashboards.jaeger
	@$(BIN)/python -m docs.names

.PHONY: answers
answers: $(VENV)/.installed ## Ask each panel's query of a real Prometheus and show the answers in docs/grafana.md
	@HELIOGRAPH_ANSWERS=docs/grafana.md $(BIN)/python -m pytest -q -m backends tests/end_to_end/backends/test_grafana.py

.PHONY: django-suites
django-suites: $(VENV)/.installed ## Run Django's own dispatch and signals tests on heliograph
	@$(BIN)/python -m tests.peers.django_suites --signal django
	@$(BIN)/python -m tests.peers.django_suites --signal heliograph
	@$(BIN)/python -m tests.peers.django_suites --signal django-instrumented

# The same where Django's internals differ. heliograph.Signal behaves as Django 5.2's does, so Django 6.1's own tests of
# its Signal are not asked of it; that Django 6.1's Signal behaves as before when observed is.
.PHONY: django-suites-all
django-suites-all: django-suites $(VENV42)/.installed $(VENV61)/.installed ## The same on Django 4.2 and 6.1 as well
	@$(VENV42)/bin/python -m tests.peers.django_suites --signal heliograph
	@$(VENV42)/bin/python -m tests.peers.django_suites --signal django-instrumented
	@$(VENV61)/bin/python -m tests.peers.django_suites --signal django-instrumented

.PHONY: peers-django
peers-django: $(VENV)/.installed ## Run all of Django's own tests without heliograph and with it (half an hour)
	@$(BIN)/python -m tests.peers.django_suites --whole

.PHONY: peers
peers: $(VENV)/.installed ## Run the other libraries' own tests without heliograph and with it (ARGS=blinker: one)
	@$(BIN)/python -m tests.peers $(ARGS)

.PHONY: lint
lint: $(VENV)/.installed ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

.PHONY: format
format: $(VENV)/.installed ## Let ruff repair what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: types
types: $(VENV)/.installed ## mypy, pyright, and completeness of the public types
	@$(BIN)/mypy
	@$(WITH_PYRIGHT) pyright
	@$(WITH_PYRIGHT) python tests/typing/public.py

.PHONY: contracts
contracts: $(VENV)/.installed ## import-linter: who may import whom
	@$(BIN)/lint-imports --no-cache

.PHONY: docs
docs: $(VENV)/.installed ## Build the documentation into docs/_build, warnings as errors
	@$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

.PHONY: bench
bench: $(BENCH)/.installed ## Measure what signals cost, here and elsewhere (ARGS=--quick: within a minute)
	@$(BENCH)/bin/python -m benchmarks $(ARGS)

.PHONY: bench-counts
bench-counts: $(VENV)/.installed ## Count instructions and compare (ARGS=--update: make these the measure)
	@$(BIN)/python -m benchmarks.counts $(ARGS)

.PHONY: soak
soak: $(VENV)/.installed ## A million sends with the backend down: memory stays where it was (takes minutes)
	@$(BIN)/python -m tests.faults.soak $(ARGS)

.PHONY: reliability
reliability: $(VENV)/.installed ## The fault tests at length and the soak; writes their figures into the docs (takes half an hour)
	@rm -f .figures.jsonl
	@HELIOGRAPH_FAULTS=full HELIOGRAPH_FAULTS_FIGURES=$(CURDIR)/.figures.jsonl $(BIN)/python -m pytest -q tests/faults
	@$(BIN)/python -m tests.faults.soak --figures .figures.jsonl
	@$(BIN)/python -m tests.faults.figures .figures.jsonl docs/reliability.md
	@rm -f .figures.jsonl

.PHONY: coverage
coverage: $(VENV)/.installed ## Run the tests and show what they did not reach
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

.PHONY: check
check: test test-django42 test-django61 test-floors django-suites-all lint types contracts docs coverage ## All of it

$(AUDIT)/bin/pip-audit: | $(BIN)/python
	@echo "Installing into $(AUDIT) ..."
	@$(PYTHON) -m venv --without-pip $(AUDIT)
	@$(BIN)/python -m pip --python $(AUDIT)/bin/python install $(PIP_FLAGS) pip-audit

# Not the floors, which are old on purpose. In an environment of its own: it is no tool that changes are checked with.
.PHONY: audit
audit: $(AUDIT)/bin/pip-audit ## Ask the advisory database about what is pinned (before a release; needs the network)
	@for pins in main django42 django61; do \
		echo "constraints/$$pins.txt"; \
		$(AUDIT)/bin/pip-audit --strict --progress-spinner off --disable-pip --no-deps -r constraints/$$pins.txt; \
	done

.PHONY: constraints
constraints: $(VENV)/.installed ## Find newer versions of everything and pin them
	@$(BIN)/python -m pip install $(PIP_FLAGS) uv
	@PATH="$(CURDIR)/$(BIN):$$PATH" constraints/update

.PHONY: clean
clean: ## Remove environments, caches and built files
	@rm -rf $(VENV) $(VENV42) $(VENV61) $(FLOORS) $(BENCH) $(AUDIT) docs/_build dist .coverage .coverage.* htmlcov
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find src tests examples benchmarks dashboards -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
