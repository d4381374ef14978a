# book and test are all a reader needs; each does its own set-up. CI calls .ci/run.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: book live page watch test lab check proofs pdf course site-test notebooks-test audit reproducible linkcheck mutants bench examples experiments clean

book: .venv/installed
	$(BIN)/python -m booktools.build

# The same with cells that run in the browser: Python for it comes from its distribution, each file
# against a hash, or from a folder: make live WHEELS=folder. Once here, make book does the same.
live: .venv/installed
	$(BIN)/python -m booktools.live.wheels $(WHEELS)
	$(BIN)/python -m booktools.build

# One chapter into the site that stands, and what it needs executed: make page PAGE=gates
page: .venv/installed
	@test -n "$(PAGE)" || { echo "Which page? For example: make page PAGE=gates"; exit 2; }
	$(BIN)/python -m booktools.build --page $(PAGE)

# Builds what has changed as you save, and reloads the page in the browser.
watch: .venv/installed
	$(BIN)/python -m booktools.watch

# First what tests the package, with its coverage; then the book and its tools, which tracing would
# slow down by a third.
test: .venv/installed
	$(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report=term \
		src/bptt tests/test_*.py tests/typing tests/book/test_own_cells.py
	$(BIN)/python -m pytest -n 2 --dist worksteal \
		src/booktools/tables.py tests/book --ignore tests/book/test_own_cells.py

lab: .venv/installed
	# its settings: the page that it starts on, and that a double click opens Markdown as a notebook
	JUPYTER_CONFIG_PATH=$(CURDIR)/jupyter $(BIN)/jupyter lab

check: .venv/installed node_modules/pyright
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/node node_modules/pyright/index.js
	$(BIN)/codespell
	$(BIN)/node proofs/check.mjs proofs/Readable.v

# All of them, by Coq 8.16 and its libraries; proofs/README.md says which packages have these.
proofs:
	@command -v coqc || { echo "There is no coqc: see proofs/README.md"; exit 2; }
	@mkdir -p _build/proofs
	for name in Readable ProductRule Analytic; do \
		coqc -q -w -ambiguous-paths -o _build/proofs/$$name.vo proofs/$$name.v || exit 1; \
	done

# Needs Chromium, and the site of make book.
pdf: book
	$(BIN)/python -m booktools.pdf

# Exercise sheets, notebooks with gaps, slides and figures, in _build/course; needs Chromium.
course: book
	$(BIN)/python -m booktools.course

# In a real browser; needs Chromium and Java, which pip and npm do not bring. All of it takes ten
# minutes and more; SITE_TESTS="-k ..." chooses.
site-test: book node_modules/pyright
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements-site.txt
	# A browser that hangs is ended; what failed is tried once more, for then it may have been that.
	$(BIN)/python -m pytest -n 2 --timeout 600 --timeout-method thread tests/site $(SITE_TESTS) \
	|| $(BIN)/python -m pytest -n 2 --timeout 600 --timeout-method thread --last-failed tests/site $(SITE_TESTS)

# Notebooks as Colab gets them, of the last commit, and as readers take them along, where nothing is
# installed; needs the package index.
notebooks-test: .venv/installed
	$(BIN)/python -m pytest -n 0 tests/notebooks

# Lighthouse, median of five, for the figures of a release.
audit: book
	$(BIN)/npm ci --loglevel=error --ignore-scripts --no-fund --no-audit --prefix tests/site/audit
	$(BIN)/node tests/site/audit/audit.mjs "$$(command -v chromium)" _build/html

# A second build, compared byte by byte; SCOPE=--written executes no chapter again.
reproducible: .venv/installed
	$(BIN)/python -m booktools.reproducible $(SCOPE)

linkcheck: .venv/installed
	$(BIN)/jupyter-book build . --builder linkcheck --path-output _build/linkcheck

# All of them take hours; MUTANTS="bptt.lags.*" chooses. Stopped and called again, it goes on.
mutants: .venv/installed
	$(BIN)/python -m booktools.mutants $(MUTANTS)

# Long, and best left alone; PyTorch and JAX have an environment of their own.
bench: .venv/installed .venv-bench/installed
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/memory.py
	PYTHONPATH=src .venv-bench/bin/python benchmarks/peers.py

# The programs in PyTorch and JAX that the book shows; their results are stored.
examples: .venv-bench/installed
	PYTHONPATH=src .venv-bench/bin/python -m booktools.frameworks in_pytorch in_jax

# The trainings of Part III, each row once for each state of the code; stopped and called again, it goes on.
experiments: .venv/installed
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m experiments $(EXPERIMENTS)

clean:
	rm -rf .live .venv .venv-bench node_modules _build build dist mutants .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache src/*.egg-info

# Anew for each lock, so that nothing older stays. uv takes seconds; pip, where uv has no build, a minute.
.venv/installed: requirements.txt requirements-dev.txt constraints.txt package-lock.json
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; this is " + sys.version)'
	@echo "Setting up .venv"
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9 \
	&& $(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -r requirements-dev.txt \
	|| $(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	$(BIN)/npm ci --loglevel=error --omit=dev --ignore-scripts --no-fund --no-audit
	@touch $@

.venv-bench/installed: requirements-bench.txt
	$(PYTHON) -m venv --clear .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	@touch $@

# What the checks and the tests in a browser need from npm, beside what the book needs.
node_modules/pyright: .venv/installed
	$(BIN)/npm ci --loglevel=error --ignore-scripts --no-fund --no-audit
	@touch $@
