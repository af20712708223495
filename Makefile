# Everything a newcomer needs: `make demo`, `make test`. Developers: `make check`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: install uninstall demo test check prose verdicts e2e lab lab-mutants cluster chaos mutants bench bench-smoke incidents stack format proto proto-check docs docs-check lock size dashboards dashboards-check release release-check clean help

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/ —/' | sort

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; found $$($(PYTHON) --version). Name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up $(VENV) (about a minute, once) …"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@

demo: $(READY)  ## play the demo scenario on a simulated Falco and print a report and the metrics
	$(BIN)/falco-report-exporter demo --once

test: $(READY)  ## run the unit and integration tests
	$(BIN)/python -m pytest -m "not slow and not e2e and not lab"

verdicts: $(READY)  ## judge the labelled alerts and print what came of it, each wrong one with its signs
	$(BIN)/python -m tools.verdicts

incidents: $(READY)  ## join the alerts of written stories and print how well, beside naive joinings
	$(BIN)/python -m tools.incidents

check: $(READY)  ## format, lint, types, import contracts, generated code, all tests but e2e
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) proto-check docs-check dashboards-check prose
	$(BIN)/python -m pytest -m "not e2e and not lab"

prose: $(READY)  ## plain English in docs and in what the program says, by Vale
	PYTHON=$(BIN)/python tools/prose/check.sh

e2e: $(READY)  ## run the installed command against real programs
	$(BIN)/python -m pytest -m e2e

$(VENV)/.lab-ready: $(READY)
	$(BIN)/python -m pip install --quiet --group lab
	@touch $@

lab: $(VENV)/.lab-ready  ## run the advice on lab hosts, containers, a cluster and clouds; one rule: make lab RULE="Clear Log Activities"
	$(BIN)/python -m pytest -m lab tests/lab --ignore tests/lab/chart $(if $(RULE),,-n $(or $(WORKERS),3)) $(if $(SHARE),,--lab-record) --lab-rule "$(RULE)" --lab-share "$(SHARE)" --lab-minutes $(or $(MINUTES),0)

lab-mutants: $(VENV)/.lab-ready  ## break the advice on purpose and list what no scenario notices: make lab-mutants OF=tests/lab/scenarios/okta KINDS=drop,guard
	$(BIN)/python -m pytest -p no:randomly -m lab $(or $(OF),tests/lab/scenarios) -n $(or $(WORKERS),3) --lab-mutants $(or $(KINDS),all)

cluster: $(VENV)/.lab-ready  ## install the image and the Helm chart in a real cluster, with a collector, Prometheus and posts as Falco's (minutes)
	$(BIN)/python -m pytest -m lab tests/lab/chart

chaos: $(READY)  ## try to break it; prints what was sent, counted, delivered and dropped
	$(BIN)/python -m pytest -m chaos tests/chaos

stack: $(READY)  ## Prometheus, Alertmanager, a collector, the exporter and a simulated Falco on this machine
	$(BIN)/python -m tools.stack

mutants: $(READY)  ## break the core on purpose and list what no test notices (hours; one module: make mutants OF='exporter.escaping*')
	$(BIN)/python -m pip install --quiet --group mutants
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/mutmut run $(OF)
	$(BIN)/mutmut results

bench: $(READY)  ## measure it (half an hour to an hour) and compare with the last results; to keep them: make bench STORE=--store
	$(BIN)/python -m benchmarks $(STORE)

bench-smoke: $(READY)  ## see that every measurement runs (some minutes); says nothing about speed
	$(BIN)/python -m benchmarks --smoke

format: $(READY)  ## format and mend what can be mended by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

proto: $(READY)  ## generate exporter/_proto from protos/
	$(BIN)/python tools/generate_proto.py exporter/_proto

proto-check: $(READY)  ## fail when exporter/_proto is stale
	$(BIN)/python tools/generate_proto.py --check exporter/_proto

lock: $(READY)  ## pin every runtime dependency with hashes, for the container image
	$(BIN)/python -m pip install --quiet 'pip-tools>=7.5'
	$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --no-header --allow-unsafe --no-emit-index-url \
	  --no-emit-trusted-host --no-emit-find-links --upgrade --output-file requirements.lock pyproject.toml

docs: $(READY)  ## write the generated reference pages
	$(BIN)/python tools/reference_docs.py
	$(BIN)/python tools/catalog_docs.py docs
	$(BIN)/python tools/chart_docs.py

docs-check: $(READY)  ## fail when a generated page is stale
	$(BIN)/python tools/reference_docs.py --check
	$(BIN)/python tools/catalog_docs.py --check docs
	$(BIN)/python tools/chart_docs.py --check

size:  ## what the container image installs, in MiB
	PYTHON=$(PYTHON) tools/installed_size.sh

dashboards: $(READY)  ## write the dashboards' JSON from their code
	$(BIN)/python -m dashboards.generator

dashboards-check: $(READY)  ## fail when the dashboards' JSON differs from their code
	$(BIN)/python -m dashboards.generator --check

# An environment of its own: what the release tools need differs from what the lab needs.
RELEASE_VENV := .venv-release
$(RELEASE_VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(RELEASE_VENV)
	$(RELEASE_VENV)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(RELEASE_VENV)/bin/python -m pip install --quiet --group release
	@touch $@

release: $(RELEASE_VENV)/.ready  ## write the last commit's release to dist/; without the image: make release IMAGE=--no-image
	$(RELEASE_VENV)/bin/python -m tools.release $(IMAGE) dist

release-check: $(RELEASE_VENV)/.ready  ## make the release twice, compare the bytes, check and install each part (minutes)
	$(RELEASE_VENV)/bin/python -m tools.release.check $(IMAGE)

PREFIX ?= /usr/local
DESTDIR ?=
LIBRARY := $(PREFIX)/lib/falco-report-exporter
install:  ## install the program, its unit and its settings below PREFIX (default /usr/local), staged below DESTDIR
	PYTHON="$(PYTHON)" PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" tools/install.sh

uninstall:  ## remove what `make install` installed; settings and state stay
	rm -rf "$(DESTDIR)$(LIBRARY)"
	rm -f "$(DESTDIR)$(PREFIX)/bin/falco-report-exporter" \
	  "$(DESTDIR)$(PREFIX)/lib/systemd/system/falco-report-exporter.service" \
	  "$(DESTDIR)$(PREFIX)/lib/sysusers.d/falco-report-exporter.conf" \
	  "$(DESTDIR)$(PREFIX)/lib/tmpfiles.d/falco-report-exporter.conf" \
	  "$(DESTDIR)$(PREFIX)/share/bash-completion/completions/falco-report-exporter" \
	  "$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_falco-report-exporter" \
	  "$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/falco-report-exporter.fish"
	rm -rf "$(DESTDIR)$(PREFIX)/share/doc/falco-report-exporter"

clean:  ## remove what `make` made
	rm -rf $(VENV) $(RELEASE_VENV) dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
