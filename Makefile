# make demo   the quickstart, played in the terminal        make lab    the same in JupyterLab
# make check  format, lint, types, layers and the quick tests: two minutes, while you work
# make test   everything CI runs                            make bench  the benchmarks, against httpx and the SDK
# make bundle    build the page's scripts again (npm)        make clean  remove what the others installed
# make fuzz   decoders, conversations and Markdown at random, for hours (FUZZ_EXAMPLES=20000, CORPUS_SHARE=50)
# make notebooks   run the guide notebooks and save their outputs

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

# Everything but the lab is compared with what is written down, in English.
demo check test fuzz bench notebooks: export QFMAGIC_LANG ?= en
demo check test fuzz bench notebooks: export QFMAGIC_JOURNAL ?= false
# The lab is the reader's own, and the stub answers at the pace of a model there.
lab: export QFMAGIC_STUB_PACE ?= 0.03

.PHONY: demo lab static check test fuzz bench bundle notebooks clean

demo: $(VENV)/.demo
	$(BIN)/python -m qfmagic.testing.play notebooks/quickstart.ipynb
	@echo
	@echo "That was notebooks/quickstart.ipynb, on the stub. Go on in JupyterLab: make lab"
	@echo "以上是 notebooks/quickstart.ipynb（使用替身）。在 JupyterLab 中继续：make lab"

lab: $(VENV)/.lab
	$(BIN)/jupyter lab notebooks/quickstart.ipynb

static: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: static
	$(BIN)/pytest --ignore=tests/browser -m 'not kernel and not slow' --hypothesis-profile=quick -n 2 --dist loadfile -q

test: static
	$(BIN)/pytest tests/core -n 2 --dist loadfile --cov=qfmagic.core --cov-branch --cov-report=term-missing:skip-covered --cov-fail-under=100
	$(BIN)/pytest --ignore=tests/browser --ignore=tests/core -n 3 --dist loadfile --no-loadscope-reorder --durations=12
	$(BIN)/pytest tests/browser -n 2 --dist loadfile --durations=12
	$(BIN)/pytest --nbval notebooks -n 2 --dist loadfile -p no:cacheprovider

bundle:
	cd qfmagic/notebook/js && npm ci --silent --no-audit --no-fund && npm run --silent build

fuzz: $(VENV)/.dev
	$(BIN)/pytest tests/core tests/notebook/conversation/test_conversations.py tests/notebook/output/test_markdown_fuzz.py tests/browser/test_markdown_fuzz.py --hypothesis-profile=fuzz --timeout=0
	CORPUS_SHARE=$${CORPUS_SHARE:-50} $(BIN)/pytest tests/notebook/output/test_corpus.py tests/notebook/output/test_documents.py tests/browser/test_corpus.py --timeout=0

bench: $(VENV)/.bench
	$(BIN)/python -m tests.benchmarks

notebooks: $(VENV)/.dev
	for notebook in notebooks/*.ipynb; do $(BIN)/python -m qfmagic.testing.save $$notebook || exit 1; done

clean:
	rm -rf $(VENV)

# A new pip: the one that comes with Python 3.11 takes minutes to choose the versions, and knows no groups.
$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "qfmagic needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip

$(VENV)/.demo: WHAT = -e '.[demo]'
$(VENV)/.lab: WHAT = -e '.[demo,lab]'
$(VENV)/.dev $(VENV)/.bench: WHAT = -e '.[demo]' --group dev

$(VENV)/.demo $(VENV)/.lab $(VENV)/.dev $(VENV)/.bench: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(WHAT)
	touch $@
