# make serve        serve examples/hello.py from 4 workers
# make test         run all checks and tests; they must pass before a commit
#
# Both create .venv if it is missing. For another interpreter: make test PYTHON=python3.12 VENV=.venv-3.12
#
# make lint         run the checks without the tests
# make format       format the code, sort imports, and write the generated pages
# make test-loaded  run the tests beside eight busy processes, which reveals tests that depend on a quiet machine
# make test-all     run make test with each installed Python of PYTHONS_SUPPORTED, then make test-lowest
# make test-lowest  test the server and its configuration with the oldest supported version of each dependency
# make coverage     check that the tests of the policy, the configuration, the channel and the parsers cover each branch
# make coverage-all check that the whole suite covers at least COVERAGE_FLOOR % of corn, measured in all its processes
#
# make programs     test Gradio, DuckDB, Celery, PEX and more under corn, in an environment of their own
# make simulate     run the master on 100,000 random schedules with simulated processes and time (half an hour of CPU time)
# make fuzz         fuzz the parsers, a minute for each target; FUZZ="head --seconds 3600" selects one target and a time
# make soak         run hostile clients of all kinds beside ordinary load, deploys and faults, with both event loops, for half
#                   an hour; HOURS=1, SOAK="--clients 200"
# make faults       inject faults into corn and its peers, and report which of them survive (about 25 minutes)
# make mutants      make one change at a time to the policy, which its tests must notice; MUTANTS=--publish writes a page
# make suites       run the suites of gunicorn, llhttp and Http11Probe in DIR against corn; SUITES=--publish writes
#                   docs/explanation/suites.md
# make autobahn     run the Autobahn WebSocket suite (about half an hour); needs Python 2.7 as PYTHON27
#
# make bench        compare corn with its peers (about an hour); BENCH=--quick takes ten minutes, BENCH=--help lists more
# make docs         build the documentation site in build/docs/index.html; warnings are errors
# make dist         build the wheel and the source distribution in dist/, check them, and install the wheel

PYTHON ?= python3
PYTHONS ?= $(PYTHON)
PYTHONS_SUPPORTED ?= 3.10 3.11 3.12 3.13 3.14
VENV ?= .venv
BIN := $(VENV)/bin
# Without editable_mode=compat, setuptools installs an import hook that doubles the start-up time of the interpreter.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	--config-settings editable_mode=compat --editable
BENCH_VENV ?= .venv-bench
LOWEST_VENV ?= .venv-lowest
PROGRAMS_VENV ?= .venv-programs

PYTHON27 ?= python2.7
AUTOBAHN_VENV ?= $(HOME)/.cache/corn/autobahn

# Files of which the tests of the same part cover each branch.
COVERED := corn/supervisor/policy/*,corn/supervisor/projections/*,corn/config/*,corn/ipc/channel.py,corn/ipc/messages.py,$\
	corn/server/proxy/*,corn/server/static/*,corn/server/http/*,$\
	corn/server/http1/body.py,corn/server/http1/parser.py,corn/server/http1/unusual_head.py,$\
	corn/server/http2/field_decoder.py,corn/server/http2/frames.py,corn/server/http2/header_codec.py,$\
	corn/server/http2/huffman.py,corn/server/http2/request_head.py,$\
	corn/server/websocket/frames.py,corn/server/websocket/deflate.py,corn/server/websocket/handshake.py
MUTANTS_FLOOR := 91
COVERAGE_FLOOR := 92
# Its process may not write coverage data after setuid(2), and says so where the test expects one line.
UNMEASURABLE := tests/integration/deploy/test_daemon.py::test_setuid_failure_exits_2_with_one_line
HOURS ?= 0.5
COVERING := tests/supervisor/policy tests/supervisor/projections tests/config tests/ipc/test_channel.py tests/server/http \
	tests/server/proxy tests/server/static tests/server/http1/test_body.py tests/server/http1/test_parser.py \
	tests/server/http2/test_field_decoder.py tests/server/http2/test_frames.py tests/server/http2/test_request_head.py \
	tests/server/http2/test_malformed.py tests/server/websocket/test_frames.py tests/server/websocket/test_deflate.py \
	tests/server/websocket/test_handshake.py

PYTEST := $(BIN)/pytest --numprocesses 6 --dist worksteal

.PHONY: serve test test-loaded test-all test-lowest lint format docs dist bench faults autobahn coverage coverage-all mutants suites simulate fuzz soak programs

serve: $(VENV)/.installed
	$(BIN)/corn serve hello:app --app-dir examples --workers 4

test: lint
	$(PYTEST)

test-loaded: $(VENV)/.installed-test
	$(BIN)/python -m tests.support.busy_processes 8 $(PYTEST)

test-all:
	for version in $(PYTHONS_SUPPORTED); do \
		if python=$$(.ci/python $$version); then \
			$(MAKE) test PYTHON=$$python VENV=.venv-$$version || exit 1; \
		else \
			echo "python$$version is not installed: skipping it"; \
		fi; \
	done
	$(MAKE) test-lowest

test-lowest: $(LOWEST_VENV)/.installed
	$(LOWEST_VENV)/bin/pytest --numprocesses 4 tests/admin tests/config tests/reload tests/server tests/supervisor \
		tests/integration/protocols

programs: $(PROGRAMS_VENV)/.installed
	$(PROGRAMS_VENV)/bin/pytest --numprocesses 2 -m programs tests/integration/programs

lint: $(VENV)/.installed-test
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m corn.config.reference --check

docs: $(VENV)/.installed-docs
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet --builder html docs build/docs

dist: $(VENV)/.installed-dist
	rm -rf dist build/dist-check share
	mkdir -p share/man/man1 share/bash-completion/completions share/zsh/site-functions share/fish/vendor_completions.d
	$(BIN)/python docs/man_page.py > share/man/man1/corn.1
	$(BIN)/corn completion bash > share/bash-completion/completions/corn
	$(BIN)/corn completion zsh > share/zsh/site-functions/_corn
	$(BIN)/corn completion fish > share/fish/vendor_completions.d/corn.fish
	$(BIN)/python -m build --outdir dist .
	$(BIN)/twine check --strict dist/*
	for python in $(PYTHONS); do \
		$$python -m venv --clear build/dist-check && \
		build/dist-check/bin/python -m pip install --quiet --disable-pip-version-check dist/*.whl && \
		build/dist-check/bin/corn --version || exit 1; \
	done

bench: $(BENCH_VENV)/.installed
	$(BENCH_VENV)/bin/python -m benchmarks $(BENCH)

faults: $(BENCH_VENV)/.installed
	$(BENCH_VENV)/bin/python -m benchmarks.faults $(FAULTS)

coverage: $(VENV)/.installed-coverage
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --quiet $(COVERING)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --include='$(COVERED)' --fail-under=100

coverage-all: $(VENV)/.installed-coverage
	$(BIN)/coverage erase
	$(BIN)/coverage run -m $(notdir $(PYTEST)) --quiet --deselect $(UNMEASURABLE)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=$(COVERAGE_FLOOR)

mutants: $(VENV)/.installed-mutants
	$(BIN)/mutmut run --max-children 2
	$(BIN)/python -m tests.mutants --floor $(MUTANTS_FLOOR) $(MUTANTS)

suites: $(VENV)/.installed-test
	$(BIN)/python -m tests.suites $(DIR) $(SUITES)

simulate: $(VENV)/.installed-test
	$(BIN)/python -m tests.support.simulation --schedules 100000 $(SIMULATE)

fuzz: $(VENV)/.installed-fuzz
	$(BIN)/python -m tests.fuzz $(FUZZ)

soak: $(VENV)/.installed-test
	$(BIN)/python -m tests.support.soak --hours $(HOURS) --clients 1000 $(SOAK)

autobahn: $(BENCH_VENV)/.installed $(AUTOBAHN_VENV)/bin/wstest
	$(BENCH_VENV)/bin/python -m benchmarks.autobahn --wstest $(AUTOBAHN_VENV)/bin/wstest $(AUTOBAHN)

format: $(VENV)/.installed-test
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
	$(BIN)/python -m corn.config.reference

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(INSTALL) .
	touch $@

$(VENV)/.installed-test: pyproject.toml | $(BIN)/python
	$(INSTALL) '.[test]'
	touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: pyproject.toml | $(BIN)/python
	$(INSTALL) '.[docs]'
	touch $@ $(VENV)/.installed

$(LOWEST_VENV)/.installed: pyproject.toml tests/support/lowest.py
	$(PYTHON) -m venv $(LOWEST_VENV)
	$(LOWEST_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	$(LOWEST_VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
		$$($(LOWEST_VENV)/bin/python -m tests.support.lowest)
	touch $@

$(PROGRAMS_VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(PROGRAMS_VENV)
	$(PROGRAMS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[programs,test]'
	touch $@

$(VENV)/.installed-coverage: $(VENV)/.installed-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check coverage
	touch $@

$(VENV)/.installed-mutants: $(VENV)/.installed-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check mutmut
	touch $@

$(VENV)/.installed-fuzz: $(VENV)/.installed-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check atheris
	touch $@

$(VENV)/.installed-dist: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check build twine
	touch $@

$(BENCH_VENV)/.installed: pyproject.toml benchmarks/requirements.txt
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade \
		--requirement benchmarks/requirements.txt --editable '.[http2]'
	touch $@

$(AUTOBAHN_VENV)/bin/wstest:
	$(PYTHON27) -m pip install --quiet virtualenv
	$(PYTHON27) -m virtualenv --quiet $(AUTOBAHN_VENV)
	$(AUTOBAHN_VENV)/bin/pip install --quiet autobahntestsuite==0.8.2
