# Everything on a fresh Debian or Ubuntu machine: `make run` does the main job, `make test` passes the tests.
# Where system packages are missing, a question comes first; YES=1 answers it.

PYTHON ?= python3
VENV   := .venv
STAMP  := $(VENV)/.installed
THAW   := $(VENV)/bin/thaw
RECIPE := rosetta-eps
OUT    ?= $(CURDIR)/.thaw/make-run

.PHONY: run serve test bench set-up clean help

help:            ## show this
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

run: set-up      ## freeze EPS, run a real instrument timeline, record it, repeat it, judge it
	@.ci/demo $(THAW) $(OUT)

serve: set-up    ## the portal in the browser: prints one address that logs you in
	@.ci/host-setup serve
	@$(THAW) serve

test: set-up     ## the whole gate: unit, contract, real containers, real data
	@.ci/host-setup tests
	@$(VENV)/bin/python -m pytest

bench: set-up    ## ratios against the tools Thaw stands beside, measured in one run
	@$(VENV)/bin/python bench/run.py

set-up: $(STAMP)
	@.ci/host-setup engine

$(STAMP): pyproject.toml .ci/host-setup
	@.ci/host-setup packages
	@echo "  … Python environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --upgrade pip setuptools
	@PYTHONWARNINGS=ignore $(VENV)/bin/python -m pip install --quiet --editable '.[test]' \
	    --config-settings editable_mode=compat
	@$(VENV)/bin/python -m compileall -q instantiator provenance vnc_gateway
	@touch $@

clean:           ## remove the Python environment and what `make run` put beside it; Thaw's own state stays
	rm -rf $(VENV) .thaw build *.egg-info
