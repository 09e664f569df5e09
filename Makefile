# Everything a user or a developer runs. Each target makes the virtual environment first; the second time that is instant.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install demo serve test coverage crash lint types imports attacks bench replicas incidents citations report lock clean
.DEFAULT_GOAL := install

install: $(STAMP)

# pip verifies every hash of the lock, and --no-deps because the lock is the whole closure. It compiles bytecode as it
# installs: without, the first import of the stack takes over 20 s.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Suture needs Python 3.11 or later; set PYTHON=…" if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked dependencies into $(VENV) (one to three minutes the first time) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q models runbooks retrieval service evals
	@touch $@

demo: install
	@$(BIN)/suture demo

serve: install
	@$(BIN)/suture serve

# What plays failures in real time runs first and alone; the rest two at a time, for most of it waits.
REAL_TIME := tests/e2e tests/evals/sandbox
test: install
	@$(BIN)/python -m pytest $(REAL_TIME)
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(addprefix --ignore=,$(REAL_TIME))

coverage: install
	@$(BIN)/python -m pytest --cov --cov-report=term

# Kills workers at every boundary and at random instants; prints what became of it. About a quarter of an hour.
crash: install
	@$(BIN)/python -m tests.crash $(if $(KILLS),--kills $(KILLS)) $(if $(SEED),--seed $(SEED))

lint: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: install
	@$(BIN)/mypy

imports: install
	@$(BIN)/lint-imports

# Every hostile input against real parts; prints the cases tried by family, and fails where one got through.
attacks: install
	@$(BIN)/python -m pytest tests/attacks

bench: install
	@$(BIN)/python -m evals.bench

# Two replicas on PostgreSQL, one killed again and again; a few minutes.
replicas: install
	@$(BIN)/python -m tests.crash.replicas

# Plays the sandbox's faults with variations and records each as a labelled incident; the same command goes on where it ended.
incidents: install
	@$(BIN)/python -m evals.recording --out incidents.jsonl $(if $(COUNT),--count $(COUNT)) $(if $(SEED),--seed $(SEED))

# What a real small model's justifications are worth: none may be shown that its source does not hold. An hour or more.
citations: install
	@$(BIN)/python -m evals.citations 200

# Every suite whose data is there, as one page: report/report.html.
report: install
	@$(BIN)/suture eval all --out report

# Run after a change of dependencies in pyproject.toml.
lock: install
	@$(BIN)/uv pip compile pyproject.toml --all-extras --generate-hashes --no-emit-index-url --no-header --no-annotate \
		--python-version 3.11 --quiet -o requirements.lock

clean:
	rm -rf $(VENV) .coverage .coverage.* htmlcov .mypy_cache .ruff_cache .pytest_cache
