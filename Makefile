# The commands of this project. Every one makes what it needs, again only when pyproject.toml changes.
#
#   make demo     see tfmagic work on a real network, in a notebook
#   make test     run the whole suite, browser tests included, and a part of test-oldest
#   make test-oldest, make test-newest   the suite without browsers on the lowest and the newest versions that resolve
#   make test-versions   files that TensorFlow 2.16 to 2.21 write, and ours as those load them
#   make lint     ruff and mypy; tsc and eslint for the scripts, where there is npm
#   make bench    speed and memory, as ratios
#   make faults   calls that fail, kills and interrupts, at every point of every writer; hours
#   make fuzz     damaged input for every parser and reader, guided by coverage; hours
#   make soak     a thousand verbs in one process, which must level off
#   make ops      hold the list of ops to the oldest and the newest TensorFlow
#   make dist     build wheel and sdist, and try the wheel in a fresh environment
#   make clean    remove what the other commands made
#
# PYTHON      the interpreter to build the environment from          make test PYTHON=python3.13
# VENV        where the environment lies                             make test VENV=.venv-old TENSORFLOW=2.18
# TENSORFLOW  the minor version of TensorFlow, else the newest one   (as above)
# OLDEST, NEWEST  the Python of test-oldest and test-newest           make test-newest NEWEST=/opt/python3.13/bin/python
# JOBS        the processes that the tests run in; 0 is this one       make test JOBS=0 ARGS=--pdb
# ARGS        passed on to pytest                                    make test ARGS=-x

# The first on the path that TensorFlow has wheels for.
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c '$(FITS)' 2>/dev/null && { echo $$python; break; }; done)
VENV ?= .venv
TENSORFLOW ?=
OLDEST ?= 3.11
NEWEST ?= 3.13
# One more than there are cores: those with a browser wait for it, its server and its kernels.
JOBS ?= $(shell expr $$(nproc 2>/dev/null || echo 2) + 1)
ARGS ?=
# Tests start hundreds of processes: what each of them imports is compiled once, by the first. The rest of what is
# installed for the tests, four fifths of it, is not (28 s of the processor of TensorFlow and all that comes with it).
unexport PYTHONDONTWRITEBYTECODE

UV := $(VENV)-uv/bin/uv
# Windows keeps programs elsewhere; WSL is what it has for make.
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --constraint $(VENV)/constraints.txt

.PHONY: help demo test test-oldest-part test-oldest test-newest test-versions lint scripts format bench faults fuzz soak ops dist clean
.DEFAULT_GOAL := help

help:
	@sed -e '/^#/!q' -e 's/^# \{0,1\}//' Makefile

demo: $(VENV)/.demo
	$(BIN)/python notebooks/run.py notebooks/01_quickstart.ipynb --open

test: $(VENV)/.test $(VENV)-bare/.bare
	$(BIN)/python -m tests.browser.chromium
	TFMAGIC_BARE=$(abspath $(VENV)-bare/bin/python) TFMAGIC_REQUIRE_BROWSER=1 $(BIN)/python -m pytest -n $(JOBS) $(ARGS)
	$(if $(ARGS),,@$(MAKE) --no-print-directory test-oldest-part)

# The import, each verb through each front, the widgets. CI has the oldest Python; elsewhere it may be missing.
PART := tests/test_extension.py tests/shell/test_fronts.py tests/notebook/panel/widgets
test-oldest-part: $(UV)
	@if [ -n "$$CI" ] || $(UV) python find --quiet $(OLDEST) >/dev/null 2>&1; then \
		$(MAKE) --no-print-directory $(VENV)-oldest/.test && \
		CI= TFMAGIC_REQUIRE_BROWSER= TF_ENABLE_ONEDNN_OPTS=1 $(VENV)-oldest/bin/python -m pytest -q -n 2 $(PART); \
		else echo 'There is no Python $(OLDEST) here for the lowest versions; OLDEST=... names one'; fi

test-oldest test-newest: test-%: $(VENV)-%/.test
	TF_ENABLE_ONEDNN_OPTS=1 $(VENV)-$*/bin/python -m pytest -n $(JOBS) --ignore tests/browser $(ARGS)

# An environment and files for each version, made once.
test-versions: $(VENV)/.test $(UV)
	$(BIN)/python -m tests.other_versions.environments $(UV) $(VENV)-versions $(OLDEST)
	TFMAGIC_VERSIONS=$(VENV)-versions $(BIN)/python -m pytest -n $(JOBS) tests/other_versions $(ARGS)

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory scripts; \
		else echo 'There is no npm here: the scripts of the widgets are not checked'; fi

# The scripts of the widgets: their types as JSDoc has them, and what is sure to be wrong.
SCRIPTS := tfmagic/notebook/panel/widgets/static
CHECKERS := typescript@5.9.3 eslint@9.39.1
NODE := $(VENV)/node
scripts: $(NODE)/.installed
	@if [ -x $(NODE)/node_modules/.bin/tsc ]; then \
		$(NODE)/node_modules/.bin/tsc --project .ci/tsconfig.json && \
		$(NODE)/node_modules/.bin/eslint --config .ci/eslint.config.mjs $(SCRIPTS); \
		else echo 'npm could not install $(CHECKERS): the scripts of the widgets are not checked'; fi

format: $(VENV)/.lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.test
	$(BIN)/python -m tests.benchmarks

faults: $(VENV)/.test
	$(BIN)/python -m tests.faults $(ARGS)

fuzz: $(VENV)/.fuzz
	$(BIN)/python -m tests.fuzz $(ARGS)

soak: $(VENV)/.test
	$(BIN)/python -m tests.soak $(ARGS)

# An environment for each of the two, with no more than the tests of the list need.
REGISTRIES := 2.18 2.21
ops: $(REGISTRIES:%=$(VENV)-ops-%/.ops)
	for version in $(REGISTRIES); do \
		$(VENV)-ops-$$version/bin/python -m pytest -q -p no:cacheprovider -o addopts= \
			tests/graphs/test_ops.py tests/graphs/test_op_effects.py $(ARGS) || exit 1; \
	done

$(VENV)-ops-%/.ops: pyproject.toml
	$(MAKE) VENV=$(VENV)-ops-$* TENSORFLOW=$* $(VENV)-ops-$*/.made
	$(VENV)-ops-$*/bin/python -m pip --disable-pip-version-check install --quiet \
		--constraint $(VENV)-ops-$*/constraints.txt --editable '.[cpu]' 'pytest>=9'
	@touch $@

# The wheel alone has to read a file and make a panel, far from the sources.
define TRIAL
import pathlib, tfmagic
pathlib.Path("small.pbtxt").write_text('node { name: "x" op: "Placeholder" } node { name: "y" op: "Relu" input: "x" }')
assert "site-packages" in tfmagic.__file__, tfmagic.__file__
assert pathlib.Path(tfmagic.__file__).with_name("py.typed").is_file()
model = tfmagic.inspect("small.pbtxt")
panel = tfmagic.panel("small.pbtxt")
print(len(model.ops), "ops;", "tabs:", ", ".join(panel.tabs.titles))
endef
export TRIAL

dist: $(VENV)/.made
	rm -rf dist $(VENV)-dist
	$(BIN)/python -m pip --disable-pip-version-check install --quiet 'build>=1.2'
	$(BIN)/python -m build --outdir dist . > /dev/null
	$(BIN)/python -m venv $(VENV)-dist
	$(VENV)-dist/bin/python -m pip --disable-pip-version-check install --quiet dist/*.whl
	cd $(VENV)-dist && $(abspath $(VENV)-dist)/bin/python -I -c "$$TRIAL"
	ls -l dist

clean:
	for venv in $(VENV) $(VENV)-bare $(VENV)-dist $(VENV)-uv $(VENV)-oldest $(VENV)-newest $(REGISTRIES:%=$(VENV)-ops-%); do \
		if [ -e $$venv/pyvenv.cfg ]; then rm -rf $$venv; fi; done
	rm -rf $(VENV)-versions
	rm -rf artifacts build dist .mypy_cache .pytest_cache .ruff_cache
	find tfmagic tests notebooks -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps. An environment that was left half made has no stamp, so the next call begins it anew.
# `--group` needs pip 25.1. Both names of TensorFlow are bound, whichever of them the platform gets.
$(VENV)/.made:
	@$(or $(PYTHON),false) -c '$(FITS)' || { \
		echo 'tfmagic needs Python 3.11, 3.12 or 3.13, for which TensorFlow has wheels; name one: make PYTHON=...' >&2; \
		exit 1; }
	@if [ -e $(VENV)/pyvenv.cfg ]; then rm -rf $(VENV); fi
	$(PYTHON) -m venv $(VENV)
	@echo '$(if $(TENSORFLOW),tensorflow==$(TENSORFLOW).*)' > $(VENV)/constraints.txt
	@echo '$(if $(TENSORFLOW),tensorflow-cpu==$(TENSORFLOW).*)' >> $(VENV)/constraints.txt
	$(BIN)/python -m pip --disable-pip-version-check install --quiet --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml
	@echo "Installing tfmagic, TensorFlow (CPU) and JupyterLab into $(VENV); the first time this takes some minutes"
	$(PIP) --editable '.[cpu]' --group demo
	@touch $@

# tf_keras and the API of TensorFlow Serving ask for `tensorflow`, of which tensorflow-cpu is another build under another
# name: without their dependencies, then, and in TensorFlow's minor version, as its own requirement would have it.
MINOR := from importlib.metadata import packages_distributions, version; \
	print(*version(packages_distributions()["tensorflow"][0]).split(".")[:2], sep=".")

$(VENV)/.test: $(VENV)/.made pyproject.toml
	@echo "Installing tfmagic, TensorFlow (CPU) and the tests' needs into $(VENV); the first time this takes some minutes"
	$(PIP) --quiet --no-compile --editable '.[cpu]' --group test
	minor=$$($(BIN)/python -c '$(MINOR)') && \
		$(PIP) --quiet --no-compile --no-deps "tf_keras==$$minor.*" "tensorflow-serving-api==$$minor.*"
	@touch $@

# What files are read and frozen with where there is no TensorFlow, and nothing else: for the tests of that.
# `uv` takes a fraction of pip's time, but reads no settings of pip's: where it finds no packages, pip is asked. What has
# TensorFlow is resolved by pip, which takes its newest version and the rest after that, where `uv` prefers others (h5py).
BARE := numpy pandas protobuf h5py
$(VENV)-bare/.bare: $(VENV)/.made $(UV) pyproject.toml
	$(PYTHON) -m venv --clear --without-pip $(VENV)-bare
	$(UV) pip install --quiet --compile-bytecode --python $(VENV)-bare $(BARE) || \
		$(BIN)/python -m pip --python $(VENV)-bare/bin/python --disable-pip-version-check install --quiet $(BARE)
	@touch $@

$(VENV)/.fuzz: $(VENV)/.test
	$(PIP) --quiet --group fuzz
	@touch $@

$(VENV)/.lint: $(VENV)/.made $(UV) pyproject.toml
	$(UV) pip install --quiet --compile-bytecode --python $(VENV) --constraint $(VENV)/constraints.txt \
		--editable . --group lint || $(PIP) --quiet --editable . --group lint
	@touch $@

# Development tools only: no lock file, nothing of them in a commit. Tried again where it failed.
$(NODE)/.installed: $(VENV)/.made Makefile
	@mkdir -p $(@D)
	@if npm install --prefix $(@D) --no-package-lock --no-audit --no-fund --loglevel error $(CHECKERS); then touch $@; fi

# Environments of the lowest and of the newest versions, pre-releases of none. `uv` resolves either way; it finds the
# interpreter or fetches it. TensorFlow is the newest before anything else is: it bounds what goes with it (h5py).
$(VENV)-oldest/.test: VERSIONS := --resolution lowest-direct
$(VENV)-oldest/.test: INTERPRETER := $(OLDEST)
$(VENV)-newest/.test: VERSIONS := --upgrade
$(VENV)-newest/.test: BOUND := $(lastword $(REGISTRIES))
$(VENV)-newest/.test: INTERPRETER := $(NEWEST)

$(UV): $(VENV)/.made
	$(BIN)/python -m venv --without-pip $(VENV)-uv
	$(BIN)/python -m pip --python $(VENV)-uv/bin/python --disable-pip-version-check install --quiet uv
	@touch $@

$(VENV)-oldest/.test $(VENV)-newest/.test: $(UV) pyproject.toml
	@echo "Installing what tfmagic and its tests need into $(@D)"
	$(UV) venv --quiet --clear --python $(INTERPRETER) $(@D)
	@printf '$(if $(BOUND),tensorflow==$(BOUND).*\ntensorflow-cpu==$(BOUND).*\n)' > $(@D)/constraints.txt
	$(UV) pip install --quiet --python $(@D) $(VERSIONS) --constraint $(@D)/constraints.txt --editable '.[cpu]' --group test
	minor=$$($(@D)/bin/python -c '$(MINOR)') && \
		$(UV) pip install --quiet --python $(@D) --no-deps "tf_keras==$$minor.*" "tensorflow-serving-api==$$minor.*"
	@touch $@
