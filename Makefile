# Everything works from these targets on a machine with python3 (3.11 or newer), its venv module and make; nothing needs root.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORPUS := $(wildcard classifiers/corpus/*.jsonl classifiers/lexicon/*.txt classifiers/*.py)

.DEFAULT_GOAL := help
.PHONY: help run test test-trackers check fuzz bench train classifier-report docs clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

run: $(VENV)/run.ready classifiers/trained/shipped.skops ## Start the gateway with a development tracker and show real complaints going through (ONCE=1: end by itself)
	@$(BIN)/jiesu up $(if $(ONCE),--once)

test: $(VENV)/dev.ready classifiers/trained/shipped.skops ## Run all tests
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

test-trackers: $(VENV)/dev.ready ## Run the adapters against the real Redmine 5 and Request Tracker 5 of Debian's packages
	@REAL_TRACKERS=1 $(BIN)/python -m pytest tests/trackers -q $(ARGS)

check: $(VENV)/dev.ready ## Lint, format check and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(VENV)/dev.ready classifiers/trained/shipped.skops ## Measure the speed, in one run and as ratios
	@$(BIN)/python -m benchmarks

fuzz: $(VENV)/dev.ready classifiers/trained/shipped.skops ## Damaged mails and fuzzed SMTP sessions by the thousand: none lost, none slow, no crash (some minutes)
	@$(BIN)/python tests/fuzz/mutated_mails.py
	@$(BIN)/python tests/fuzz/smtp_sessions.py --sessions 20000

train: $(VENV)/run.ready ## Train the shipped model from the shipped corpus
	@$(BIN)/jiesu train

classifier-report: $(VENV)/dev.ready classifiers/trained/shipped.skops ## How right the classifier is, and what each part brings and costs (FILES="a.jsonl b.jsonl": on these too)
	@$(BIN)/python -m classifiers.report --picture docs/images/reliability.svg $(FILES)

docs: $(VENV)/dev.ready ## Write anew what follows from the code: docs/configuration.md and gateway/schemas/
	@$(BIN)/python docs/write_configuration.py
	@$(BIN)/python docs/write_schemas.py

clean: ## Remove what was built (never var/, which holds complaints)
	rm -rf $(VENV) classifiers/trained *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

# The packages that run, and beside them those that test; both from locked lists with hashes.
$(VENV)/run.ready: requirements/run.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "jiesu 需要 Python 3.11 以上。 jiesu needs Python 3.11 or newer: make PYTHON=python3.x"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "缺少 venv 模块。 The venv module is missing: apt-get install python3-venv"; exit 1; }
	@echo "安装依赖… installing packages…"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/run.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.ready: $(VENV)/run.ready requirements/dev.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

# The trained model follows from the corpus bit for bit, so it is built and not kept in git.
classifiers/trained/shipped.skops: $(CORPUS) | $(VENV)/run.ready
	@echo "训练分类模型… training the classifier…"
	@$(BIN)/jiesu train > /dev/null
