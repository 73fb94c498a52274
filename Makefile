# Two commands on a fresh machine: `make run` and `make test`. Only Python >= 3.11 and make are needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# A file's tests stay together: they share servers.
TEST_PROCESSES ?= logical

.PHONY: run test test-slow fuzz chaos bench bench-search bench-ingest bench-history bench-batch quality lint install clean

run: $(VENV)/.run            ## install, then start Redis, API, workers and Flower; ARGS="--no-demo" passes options
	$(BIN)/kennel up $(ARGS)

test: $(VENV)/.test          ## install with the test tools, then run every test, as many at a time as there are cores
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile $(ARGS)

fuzz: FUZZ_SEED := $(or $(FUZZ_SEED),$(shell date +%s))
test-slow: $(VENV)/.test     ## what takes too long for every run: more kills, ten thousand lines, twelve tries
	$(BIN)/python -m pytest -m slow $(ARGS)

fuzz: $(VENV)/.test          ## the generated requests of make test, ten times as many; FUZZ_SEED=… repeats a run
	FUZZ_SEED=$(FUZZ_SEED) FUZZ_EXAMPLES=180 $(BIN)/python -m pytest tests/acceptance/test_generated_requests.py $(ARGS)

chaos: $(VENV)/.test         ## kills, cuts, freezes and outages under load, in tables; ARGS="--seed 7" repeats a run
	$(BIN)/python -m tests.chaos $(ARGS)

bench: $(VENV)/.test         ## Kennel beside a naive FastAPI + Celery app, one table
	$(BIN)/python -m benchmarks $(ARGS)

# in-process search beside SQL by hand; documents through the API; lists of 100,000 executions beside 1,000
bench-search bench-ingest bench-history: bench-%: $(VENV)/.test
	$(BIN)/python -m benchmarks --only $* $(ARGS)

quality: $(VENV)/.test       ## how good the search is, beside bm25s, on a judged collection
	$(BIN)/python -m benchmarks.quality

bench-batch: $(VENV)/.test   ## kennel batch of 5,000 lines: memory, CPU, rate; then the same with kills
	$(BIN)/python -m benchmarks.batch $(ARGS)

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

install: $(VENV)/.run

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Kennel needs Python 3.11 or newer; set PYTHON=…") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --no-binary kennel -c constraints.txt -e .
	touch $@

$(VENV)/.test: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --no-binary kennel -c constraints.txt -e '.[test]'
	touch $@ $(VENV)/.run

clean:
	rm -rf $(VENV) .kennel build *.egg-info
