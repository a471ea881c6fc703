# Two commands do everything on a fresh machine with Python 3.11+: `make demo` and `make test`.

SHELL := /bin/bash
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
RUN := $(UV) run --frozen --no-sync

.DEFAULT_GOAL := help

help: ## Show what there is.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.uv/bin/uv:
	@command -v python3 >/dev/null || { echo "Python 3.11 or newer is needed as python3"; exit 1; }
	python3 -m venv .uv && .uv/bin/pip install --quiet "uv>=0.9"

install: $(if $(findstring .uv,$(UV)),.uv/bin/uv) ## Install what is needed from the lock file.
	@$(UV) sync --frozen --quiet

demo: install ## See all of it: Kafka, PostgreSQL, workers, sinks, replay and proof. CAPTURE=path, ARGS="--seconds 30".
	@$(RUN) tape demo $(if $(CAPTURE),--capture "$(CAPTURE)") $(ARGS)

test: install ## Run the tests on a real Kafka, registry and PostgreSQL, started as child processes.
	@$(RUN) pytest -n 2 --dist loadfile -m "not slow" $(ARGS)

test-slow: install ## Run the long tests, which `make test` leaves out.
	@$(RUN) pytest -m slow $(ARGS)

torture: install ## Kill, stop, cut and fill at random instants; then all must be as if undisturbed. SHORT=1: 5 minutes.
	@$(RUN) python -m tests.torture $(if $(SHORT),--seconds 60,--seconds 150 --every 0.9 --plans 100 --kills 1000 --measure 3 --out torture.jsonl) $(ARGS)

fuzz: install ## Feed a million bad bytes to all that reads from outside (docs/fuzzing.md). ARGS="--seed 2".
	@$(RUN) python -m tests.fuzz $(ARGS)

check: install ## Formatting, lint, types, import rules, schemas.
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy
	$(RUN) lint-imports
	$(RUN) tape schemas check

format: install ## Format the code.
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

bench: install ## Run every benchmark beside its peer (minutes).
	@for name in $$($(RUN) tape bench list); do $(RUN) tape bench $$name --json || exit 1; done

clean: ## Remove what the build made here.
	rm -rf .venv .uv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build

.PHONY: help install demo test test-slow torture check format bench clean
