# Chairtime. `make` alone lists what can be done; everything sets itself up first.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
SHELL := /bin/sh

UV_VERSION := 0.13.9
UV := .uv/bin/uv
BIN := .venv/bin
# The first Python that is supported; `make PYTHON=/path/to/python3.12 ...` takes another.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c '$(SUPPORTED)' 2>/dev/null && command -v $$p && break; done)
PORT ?= 9092
FAULTS := tests/failures tests/reminders/test_sending_faults.py tests/reminders/test_simulator.py
# Each worker has servers of its own; a Kafka that is given is one alone, and its consumer groups cannot be shared.
WORKERS := $(if $(CHAIRTIME_TEST_KAFKA),0,2)
# What another Python could change; what plays for long plays on one Python alone.
ON_IMAGE := contracts shared booking billing reminders
LONG := *test_machine.py *test_simulator.py *test_any_order.py *test_sending_faults.py
# Failures run by themselves: what they cause and wait for takes all cores.
TESTS := $(addprefix tests/,contracts shared booking billing reminders deploy journeys simulation)

.PHONY: help
help: ## Show this list
	@echo "Chairtime: clinic chair time in which booking, prepayment and texts cannot disagree."
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: setup
setup: .venv/.ready ## Install everything into .venv (the other targets do it by themselves)
	@echo "Ready: everything is installed in .venv."

.PHONY: demo
demo: .venv/.ready ## Play one whole course, from request to last text, and exit
	@$(BIN)/chairtime demo

.PHONY: up
up: .venv/.ready ## Run all services in one process, with their own PostgreSQL and Kafka
	@$(BIN)/chairtime up

.PHONY: kafka
kafka: .venv/.ready ## Run a real Kafka without Docker until Ctrl-C (Java 17; PORT=9092)
	@$(BIN)/python -m deploy.local.kafka --port $(PORT)

.PHONY: test
test: .venv/.ready ## Run all tests (a quarter of an hour; ARGS="-k booking" or ARGS=tests/journeys for some of them)
ifdef ARGS
	@$(BIN)/python -m pytest $(if $(filter tests/%,$(ARGS)),,$(TESTS) tests/failures) $(ARGS)
else
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal $(TESTS)
	@$(BIN)/python -m pytest tests/failures
endif

.PHONY: test-compose
test-compose: .venv/.ready ## Build the images, run docker-compose.yml, kill its parts and try its doors (Docker, Compose v2, Node 20)
	@$(BIN)/python -m pytest tests/compose $(ARGS)

.PHONY: test-image
test-image: .venv/.ready ## Run the tests of the contract and the services on the Python of the images (Docker, Compose v2)
	@$(BIN)/python -c "from deploy.local.kafka import node; node.fetch_jars()"
	@docker compose --file tests/image.compose.yml build --quiet
	@docker compose --file tests/image.compose.yml run --rm tests \
		$(or $(ARGS),--numprocesses 2 --dist worksteal $(addprefix --ignore-glob=,$(LONG)) $(addprefix tests/,$(ON_IMAGE)))
	@docker compose --file tests/image.compose.yml down --remove-orphans --timeout 1

.PHONY: soak
soak: .venv/.ready ## Play random clinics against all promises (SEEDS=500, SEED=17 for one again; FULL=1: and all faults)
	@CHAIRTIME_SEED=$(or $(SEED),$(strip $(shell od -An -N3 -tu4 /dev/urandom))) \
		CHAIRTIME_SEEDS=$(or $(SEEDS),$(if $(SEED),1,500)) $(if $(FULL),CHAIRTIME_ROUNDS=$(or $(ROUNDS),full)) \
		$(BIN)/python -m pytest tests/simulation $(if $(FULL),$(FAULTS)) --maxfail=5 --verbose

.PHONY: bench
bench: .venv/.ready ## Measure the services beside the same by hand and as usual (Java 17; ARGS="--write")
	@$(BIN)/python -m tests.benchmarks $(ARGS)

.PHONY: lint
lint: .venv/.ready ## Check style, format and who may import whom
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { echo "some files are not formatted: run \`make format\`"; exit 1; }
	@$(BIN)/lint-imports

.PHONY: format
format: .venv/.ready ## Format the code and sort its imports
	@$(BIN)/ruff check --quiet --fix --select I
	@$(BIN)/ruff format

.PHONY: types
types: .venv/.ready ## Check types (mypy, strict)
	@$(BIN)/mypy

# The two stamps: each is made again only when what it depends on has changed.
.venv/.ready: pyproject.toml uv.lock .uv/.ready-$(UV_VERSION)
	@echo "Installing Chairtime and its dependencies into .venv ..."
	@$(UV) sync --locked --quiet --python "$(PYTHON)"
	@touch $@

.uv/.ready-$(UV_VERSION):
	@test -n "$(PYTHON)" || { echo "Chairtime needs Python 3.11, 3.12 or 3.13: install it, or name it with PYTHON=..."; exit 1; }
	@echo "Fetching uv $(UV_VERSION) into .uv ..."
	@"$(PYTHON)" -m venv .uv || \
		{ echo "Python's venv module does not work: install it (Debian: apt install python3-venv)"; exit 1; }
	@.uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@rm -f .uv/.ready-* && touch $@
