# Each target sets up what it needs. The environment comes from requirements.lock, by pip.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
CORES  ?= all
CONFIG ?=
JOBS   ?= logical

export HF_HUB_DISABLE_TELEMETRY := 1
# One thread a job: jobs run side by side, and the same bytes come out on any number of cores.
export OMP_NUM_THREADS := 1

.PHONY: reproduce report test test-slow smoke bench setup readme lock schema clean

reproduce: setup
	$(BIN)/snakemake --cores $(CORES) $(if $(CONFIG),--configfile $(CONFIG))
	@$(BIN)/lmodp summary $(if $(CONFIG),--configfile $(CONFIG))

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("Python = %d.%d: must be 3.11, 3.12 or 3.13. Name another one: make PYTHON=python3.11" % v)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

test: setup
	$(BIN)/lmodp fetch
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n $(JOBS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test-slow: setup
	$(BIN)/lmodp fetch
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n $(JOBS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder -m 'slow or not slow'

# Tables, figures and report from the records at hand; what has none is shown as pending. Nothing else is computed.
report: setup
	$(BIN)/snakemake --cores $(CORES) $(if $(CONFIG),--configfile $(CONFIG)) --config unfinished=pending --allowed-rules all collect_results make_table compare_published measure_cost map_wins map_space make_figure report

smoke: setup
	$(BIN)/snakemake --cores $(CORES) --configfile config/smoke.yaml

bench: setup
	$(BIN)/python benchmarks/engine.py

readme: setup
	$(BIN)/lmodp readme

lock: requirements.in
	$(PYTHON) -m venv .cache/lock
	.cache/lock/bin/pip install --quiet torch==2.13.0
	.cache/lock/bin/pip install --quiet -r requirements.in
	.cache/lock/bin/python workflow/lock.py

schema: setup
	$(BIN)/lmodp schema > workflow/schemas/config.schema.json

clean:
	rm -rf .snakemake results/quick results/smoke .cache/smoke
