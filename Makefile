# Everything a person or CI types. `make help` lists it.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help setup demo test fuzz prove overload bench check audit format protos docs lock clean
.DEFAULT_GOAL := help

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(READY)  ## Make .venv with the client, the server and the tools

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "This needs Python 3.11 or later, and $(PYTHON) is older. Name one: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	@echo "Installing into .venv; this takes a minute or two."
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[server,dev]'
	@touch $@

demo: $(READY)  ## Stream this machine's own telemetry for 20 seconds and read it back
	$(BIN)/sift demo

test: $(READY)  ## Run the tests (real servers, real ports; about twelve minutes on two cores)
	$(BIN)/pytest -n 2 --dist worksteal

FUZZ_SECONDS ?= 120

fuzz: $(READY)  ## Decode ten million damaged messages; fuzz all that reads others' text, FUZZ_SECONDS each
	PYTHONPATH=tests $(BIN)/python -m fuzz.decode --count 10000000 --seed 1
	PYTHONPATH=tests NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=build/numba-boundscheck \
	    $(BIN)/python -m fuzz.decode --count 200000 --seed 2 --check-every 4 --alone
	for target in decoder log filter expression yaml; do \
	    PYTHONPATH=tests $(BIN)/python -m fuzz.coverage $$target --seconds $(FUZZ_SECONDS) || exit 1; \
	done

prove: $(READY)  ## Kill a server 250 times and read everything back; OPTIONS='--help' lists options
	PYTHONPATH=tests $(BIN)/python -m prove $(OPTIONS)

OVERLOAD_FLOWS ?= 100000

overload: $(READY)  ## Fill every limit from outside, with 100,000 flows; minutes
	OVERLOAD_FLOWS=$(OVERLOAD_FLOWS) $(BIN)/pytest -q --timeout 600 tests/overload

bench: $(READY)  ## Measure ours and others side by side (minutes); OPTIONS='--help' lists options
	PYTHONPATH=tests:. $(BIN)/python -m benchmarks $(OPTIONS)

check: $(READY)  ## Formatting, lint, types, bindings as protos/ makes them, and the audit
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	scripts/build_protos.sh --check
	$(BIN)/python scripts/audit.py

audit: $(READY)  ## Look for known vulnerabilities of what is installed; needs the network
	$(BIN)/python scripts/audit.py

format: $(READY)  ## Format the code and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

protos:  ## Rebuild src/sift, the bindings of protos/
	scripts/build_protos.sh

docs: $(READY)  ## Build the documentation into docs/_build/html; warnings are errors
	$(BIN)/sphinx-build --fail-on-warning --keep-going -b html docs docs/_build/html
	@echo "open docs/_build/html/index.html"

lock: pyproject.toml  ## Write the newest versions that fit pyproject.toml to constraints.txt
	rm -rf build/lock-venv && $(PYTHON) -m venv build/lock-venv
	build/lock-venv/bin/pip install --quiet --disable-pip-version-check '.[server,dev]'
	{ echo "# Versions that 'make lock' found to fit together; what 'make setup' installs."; \
	  build/lock-venv/bin/pip freeze --exclude sift-py; } > constraints.txt

clean:  ## Remove what was built
	rm -rf .venv build dist docs/_build .pytest_cache .mypy_cache .ruff_cache
