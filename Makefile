# Two commands matter: `make up` and `make test`. Both install what they need, once.
.PHONY: up test test-postgres test-thorough test-nasty lint shots bench clean

PYTHON ?= python3
BIN := .venv/bin
# Of the tests, beside each other: one more than cores, as a third of their time is waiting for
# processes and disks. What shares a world stays together (tests/conftest.py).
WORKERS ?= $(shell expr $$(nproc) + 1)
TEST := -n $(WORKERS)
# Each computes in one thread: several that wait for each other by spinning take the cores from all.
test test-postgres test-thorough test-nasty: export OMP_NUM_THREADS = 1
# What is compiled is kept, wherever a machine says otherwise: workers and the processes that tests
# start compile it all anew else, which is a third of what they do.
test test-postgres test-thorough test-nasty up: export PYTHONDONTWRITEBYTECODE =
# Python compiles what is imported when it is: all modules of all packages would take a minute.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
# A file of requirements is installed again only when it has changed.
STAMPS := .venv/.base .venv/.torch .venv/.torchaudio

up: $(STAMPS)
	@exec $(BIN)/python manage.py up

# Where the databases differ: rows that are locked, SQL that is written out, JSON that is searched,
# work that is shared out. `make test-postgres` repeats all rooms.
POSTGRES_DIFFERS ?= tests/races tests/rights/consent/test_consent.py \
  tests/rights/consent/test_replay.py tests/rights/test_machine.py \
  tests/rights/withdrawal/test_losses.py tests/rights/exchange/test_import_jobs.py \
  tests/rights/exchange/test_import_parties.py tests/rights/catalogue/file_batches \
  tests/experiments/run_table tests/experiments/metrics tests/experiments/deliveries

test: $(STAMPS) .venv/.test
	$(BIN)/python -m pytest $(TEST)
	$(BIN)/python -m tests.postgres --if-found $(TEST) $(POSTGRES_DIFFERS)

# All rooms of the portal on PostgreSQL, on a server of its own that goes away again.
POSTGRES_TESTS ?= tests/portal tests/rights tests/experiments tests/audio_samples tests/listening tests/races
test-postgres: $(STAMPS) .venv/.test
	$(BIN)/python -m tests.postgres $(TEST) $(POSTGRES_TESTS)

# Every property with all its examples, and random histories of rights twice as long.
test-thorough: $(STAMPS) .venv/.test
	THOROUGH=1 $(BIN)/python -m pytest $(TEST)

# Everything nasty to every parameter, field and body, on both databases; `make test` takes a sample.
test-nasty: $(STAMPS) .venv/.test
	$(BIN)/python -m pytest $(TEST) -m nasty tests/rules
	$(BIN)/python -m tests.postgres --if-found $(TEST) -m nasty tests/rules

lint: $(STAMPS) .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

# Pictures of the pages for docs/, taken from the portal that `make up` runs.
shots: $(STAMPS) .venv/.test
	$(BIN)/python -m tests.browser.shots

# Against the peers, which are installed apart (benchmarks/README.md).
bench: $(STAMPS) .venv-bench/.peers
	$(BIN)/python -m benchmarks

$(BIN)/python:
	$(PYTHON) -m venv .venv

.venv/.base: requirements/base.txt | $(BIN)/python
	$(PIP) --requirement $<
	@touch $@

.venv/.torch: requirements/torch.txt .venv/.base
	$(PIP) --requirement $<
	@touch $@

.venv/.torchaudio: requirements/torchaudio.txt .venv/.torch
	$(PIP) --no-deps --requirement $<
	@touch $@

.venv/.test: requirements/test.txt requirements/frameworks.txt $(STAMPS)
	$(PIP) --requirement $<
	$(PIP) --no-deps --requirement requirements/frameworks.txt
	@touch $@

.venv-bench/.peers: requirements/bench.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

clean:
	rm -rf .venv .venv-bench var
