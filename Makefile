# `make help` lists what there is. Everything runs in .venv, which is made from the hashed lock files.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Every worker and every process under test would compile everything again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run test check lint types layers audit explore faults soak bench docs screenshots charts lock clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

$(VENV)/run.stamp: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt $(VENV)/run.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

setup: $(VENV)/dev.stamp ## make .venv with everything, tests included

run: $(VENV)/run.stamp ## start the bot; whatever has no address comes from the sandbox; Ctrl-C ends it
	@$(BIN)/python main.py run

test: setup ## run the whole suite
	$(BIN)/python -m pytest -n 4 --dist worksteal

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/pyright

layers: setup
	$(BIN)/lint-imports

check: setup ## what CI runs: ruff, pyright strict, import-linter, the suite with its shape tests
	@$(MAKE) --no-print-directory lint layers
	@$(MAKE) --no-print-directory --jobs 2 types test

audit: setup ## ask advisory databases about every dependency; says so where none can be reached
	$(BIN)/python -m audit

explore: setup ## look for new examples of every property (@given), tests of Hypothesis alone
	$(BIN)/python -m pytest tests --hypothesis-profile explore -m hypothesis -n 2 --ignore tests/browser

faults: setup ## break everything, at full size; writes docs/reliability.md (about an hour)
	$(BIN)/python -m pytest tests/faults -n 2 --full --reliability-table docs/reliability.md
	$(BIN)/python -m pytest tests --ignore tests/faults -m thorough -n 2 --full

soak: setup ## load and faults, the watchdog in every role, a full disk fifty times; adds to docs/reliability.md
	$(BIN)/python -m tests.faults.soak --minutes 10
	$(BIN)/python -m tests.faults.soak_disk --times 50

bench: setup ## run every benchmark; writes docs/performance.md
	$(BIN)/python -m benchmarks all --write docs/performance.md

docs: setup ## regenerate .env.example, docs/filters.md and the table in docs/architecture.md
	$(BIN)/python -m generate

screenshots: setup ## take the README's pictures again (needs chromium)
	$(BIN)/python docs/screenshots.py

charts: setup ## draw every chart and card again, onto docs/images/charts.png
	$(BIN)/python docs/charts.py

lock: setup ## resolve the requirement files again
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-annotate --no-header --python-version 3.11 requirements.in -o requirements.txt
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-annotate --no-header --python-version 3.11 requirements-session.in -o requirements-session.txt
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-annotate --no-header --python-version 3.11 requirements-dev.in -o requirements-dev.txt

clean: ## remove .venv and caches, keep data
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache
