# Everything runs from a fresh clone with Python 3.11+ and make: the first target makes the environment.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
BIN := .venv/bin
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help install serve test check static schema bench openapi matrix

help: ## show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## make .venv with the pinned requirements

$(STAMP): requirements.txt requirements-dev.txt
	@test -x $(BIN)/python || $(or $(PYTHON),false) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'Python 3.11 or newer is needed; found: $(or $(PYTHON),no python3).' >&2; \
	  echo 'Install it, or say where it is: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $(STAMP)

serve: install ## run the service on http://127.0.0.1:8000 (SQLite in ./data unless DATABASE_URL says otherwise)
	$(BIN)/python manage.py serve

test: install ## run the tests on the database that DATABASE_URL names, SQLite if none
	$(BIN)/python -m pytest -n 3 --maxschedchunk 8

check: install static schema test ## format, lint, types, migrations, schema and tests

static: install ## format, lint, types and migrations alone
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	DATABASE_URL=sqlite:///:memory: $(BIN)/python manage.py makemigrations --check --dry-run

schema: install ## compare openapi.yaml with what the code says
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file .venv/openapi.fresh.yaml
	diff -u openapi.yaml .venv/openapi.fresh.yaml && rm .venv/openapi.fresh.yaml

openapi: install ## write openapi.yaml
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file openapi.yaml

matrix: install ## write docs/access-matrix.txt
	$(BIN)/python -m tests.access.write

bench: install ## measure what requests cost
	$(BIN)/python -m bench
