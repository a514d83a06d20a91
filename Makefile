# Everything runs from .venv, which is made here from requirements.lock (hash-pinned) on first use.
# On a fresh machine: Python 3.11 or newer (with venv) and make. Another interpreter: make test PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
READY := $(VENV)/.ready-$(VERSION)
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
PROTOS := $(wildcard proto/xinyi/v1/*.proto)
# More arguments for pytest, the demo or the bench: make test ARGS="-k receipts"
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help env demo test bench lint proto baseline lock clean

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

env: $(READY) ## the environment alone

demo: $(READY) ## three months and a quarter in the life of a city, as real processes on this machine
	$(BIN)/python -m examples.demo $(ARGS)

test: $(READY) ## all tests, on SQLite and on PostgreSQL (ARGS="-k name" for some)
	$(BIN)/python -m pytest $(ARGS)

bench: $(READY) ## speed and memory against floors of the same run; writes docs/performance.md
	$(BIN)/python -m bench $(ARGS)

lint: $(READY) ## ruff, mypy --strict, buf lint, buf breaking against proto/baseline.binpb
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/buf lint proto
	$(BIN)/buf breaking proto --against proto/baseline.binpb

proto: $(READY) ## generates the code of proto/xinyi/v1 beside it
	$(BIN)/python -m grpc_tools.protoc -Iproto --python_out=proto --pyi_out=proto --grpc_python_out=proto $(PROTOS)

# Partners generate their code from the contract: accept a break only where no partner runs it yet.
baseline: $(READY) ## accepts the contract as it stands as what later ones are compared with
	$(BIN)/buf build proto -o proto/baseline.binpb

lock: ## writes requirements.lock from pyproject.toml; needs uv
	uv pip compile pyproject.toml --all-extras --universal --generate-hashes --no-header -o requirements.lock

clean: ## removes the environment and what tests, demo and bench left
	rm -rf $(VENV) .demo .bench build dist *.egg-info proto/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find adapters audit bench examples gateway proto tests -name __pycache__ -prune -exec rm -rf {} +

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make test PYTHON=python3.12")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "Python's venv is missing: install the python3-venv package"; exit 1; }
	@echo "Making the environment in $(VENV) (Python $(VERSION)); the first time takes a minute or two."
	test -x $(BIN)/python$(VERSION) || $(PYTHON) -m venv --clear $(VENV)
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@
