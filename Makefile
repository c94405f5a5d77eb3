# A bare `make` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PY := .venv/bin/python
READY := .venv/.ready

.PHONY: help setup messages demo loop up test test-quick lint format bench-queue bench-page bench-training prove-overlap prove-resume clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

setup: $(READY) locale/.compiled ## make .venv with everything; does nothing the second time

$(READY): pyproject.toml requirements/all.lock bin/setup
	@bin/setup

locale/.compiled: $(wildcard locale/*/LC_MESSAGES/django.po) | $(READY)
	@$(PY) -m bin.messages compile && touch $@

messages: setup ## bring the catalogues of what annotators read up to the sources, and compile them
	@$(PY) -m bin.messages && $(PY) -m bin.messages compile

demo: setup ## run the whole loop on a real small model, in front of you, on 127.0.0.1:8000
	@$(PY) -m demo

loop: setup ## the same without you: exits non-zero unless the loop closed and the new model won
	@$(PY) -m demo --unattended

up: setup ## start the product for real use (DATABASE_URL, BROKER_URL)
	@$(PY) manage.py up

test: setup ## every test: PostgreSQL, SQLite, Chromium, the real launcher
	@bin/test

test-quick: setup ## unit and integration tests alone
	@bin/test quick

lint: setup ## format, ruff, mypy, import contracts, migrations, templates, texts, CSS
	@bin/lint

format: setup ## rewrite files in the house format
	@.venv/bin/ruff check --fix -q . ; .venv/bin/ruff format -q .

bench-queue: setup ## measure the labeling queue against a one-INSERT floor (DATABASE_URL: PostgreSQL)
	@$(PY) -m benchmarks.queue

bench-page: setup ## measure the labeling page in Chromium, cold and from task to task (DATABASE_URL: PostgreSQL)
	@$(PY) -m benchmarks.page

bench-training: setup ## measure our engine against bare TRL, our PPO against TRL's, and a supervisor's memory (PostgreSQL)
	@$(PY) -m benchmarks.training

prove-overlap: setup ## prove exactly N answers per task under kill -9 (DATABASE_URL: PostgreSQL)
	@$(PY) -m benchmarks.prove

prove-resume: setup ## prove that killed runs end bit-equal to runs left alone (DATABASE_URL: PostgreSQL)
	@$(PY) -m benchmarks.resume

clean: ## remove var/ (data, runs, models) but not .venv
	rm -rf var
