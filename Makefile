# Each target sets up what it needs. The environment comes from requirements.lock, by pip.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
CORES  ?= all
CONFIG ?=
JOBS   ?= logical
GRID   := $(if $(CONFIG),--configfile $(CONFIG))

export HF_HUB_DISABLE_TELEMETRY := 1
# One thread per job: jobs run in parallel, and results are the same bytes on any number of cores.
export OMP_NUM_THREADS := 1
# Snakemake keeps copies of its rules in the home; where that cannot be written, .cache takes them.
HOMES := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/snakemake
ifneq ($(shell mkdir -p "$(HOMES)" 2>/dev/null && test -w "$(HOMES)" && echo writable),writable)
export XDG_CACHE_HOME := $(CURDIR)/.cache/home
endif

.PHONY: reproduce report lint docs test test-slow test-faults test-cluster test-distributed smoke bench bench-accounting
.PHONY: bench-gpu bench-grid bench-scale setup readme lock schema clean claims check-claims

reproduce: setup
	@$(BIN)/snakemake --cores $(CORES) $(GRID) || { ls .snakemake/locks/* >/dev/null 2>&1 && \
		echo 'A run that was killed leaves a lock. If no other Snakemake runs in this folder, type:' \
		'$(BIN)/snakemake --unlock $(GRID)'; exit 1; }
	@$(BIN)/lmodp summary $(CONFIG)

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("Python = %d.%d: must be \
	3.11, 3.12 or 3.13. Name another one: make PYTHON=python3.11" % v)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

# Style, types, walls between the rooms, and the workflow: everything that needs no run.
lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/python workflow/lint.py

# All published claims: records, the board and a page for each. Three minutes from nothing.
claims: setup
	$(BIN)/lmodp claims check all

# The claim files that differ from BASE, each computed anew; a verdict other than the one kept is an error.
BASE ?= origin/main
check-claims: setup
	@changed=$$(git diff --name-only --diff-filter=AMR $(BASE) -- 'claims/*.yaml') || exit 1; for claim in $$changed; do \
		name=$$(basename $$claim .yaml); rm -f results/claims/$$name.json; $(BIN)/lmodp claims check $$claim || exit 1; done
	git diff --exit-code -G'"verdict"' -- results/claims

# The documentation site, build/docs/index.html: a broken link or an unknown page is an error.
docs: export NO_MKDOCS_2_WARNING := 1
docs: setup
	$(BIN)/mkdocs build --strict --quiet

# The tests of plain `pytest` in its order, several files at a time.
TEST := HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n $(JOBS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test: setup
	$(BIN)/lmodp fetch
	$(TEST)

test-slow: setup
	$(BIN)/lmodp fetch
	$(TEST) -m 'not faults and not cluster and not distributed'

# Kills, damage and odd input, in half an hour; the counts become the table of reliability in the README.
test-faults: setup
	rm -f .cache/faults.jsonl
	$(TEST) -m faults tests/faults
	$(BIN)/python -m tests.faults.summarise

# A grid through SLURM, which is installed and started for it: 15 minutes, as root, and only on a throw-away machine
# (LMODP_THROW_AWAY_MACHINE=yes). What is measured is added to build/cluster.txt.
test-cluster: setup
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -m cluster tests/cluster

# One run on several processes, by gloo: 2 minutes.
test-distributed: setup
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -m distributed tests/distributed

# Tables, figures and report from the existing records; cells without records are shown as pending. Nothing else runs.
report: setup
	$(BIN)/snakemake --cores $(CORES) $(GRID) --config unfinished=pending

smoke: setup
	$(BIN)/snakemake --cores $(CORES) --configfile config/smoke.yaml

bench: setup
	$(BIN)/python benchmarks/engine.py

bench-grid: setup
	$(BIN)/python benchmarks/grid.py $(if $(CONFIG),--configfile $(CONFIG))

bench-accounting: setup
	$(BIN)/python benchmarks/accounting.py
	$(BIN)/python benchmarks/certificates.py

# The engine at true sizes on one GPU, in at most 8 minutes.
bench-gpu: setup
	$(BIN)/python benchmarks/gpu.py

# What ten thousand cells cost where nothing is trained: 10 minutes.
bench-scale: setup
	$(BIN)/python benchmarks/scale.py

readme: setup
	$(BIN)/lmodp readme results/reference

# Installs what pyproject.toml needs into an empty environment and writes the lock from it. Versions that are already
# pinned stay, because others may give other weights; RENEW=1 takes the newest. torch comes first: its version is
# chosen.
lock: INSTALL := .cache/lock/bin/python -m pip install --quiet --disable-pip-version-check
lock:
	$(PYTHON) -m venv --clear .cache/lock
	$(INSTALL) torch==2.13.0
	$(INSTALL) $(if $(RENEW),,--constraint requirements.lock) --editable '.[all]'
	.cache/lock/bin/python workflow/lock.py

schema: setup
	$(BIN)/lmodp schema > workflow/schemas/config.schema.json

clean:
	rm -rf .snakemake results/quick results/smoke .cache/smoke
