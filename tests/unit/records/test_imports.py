"""What a stage loads before it works: its start is paid by every process that does it."""

import json
import subprocess
import sys

import pytest

from lmodp.records.stage_table import STAGES

HEAVY = {"torch", "transformers", "datasets", "pandas", "matplotlib", "dp_accounting", "opacus", "peft", "snakemake"}
LIGHT, TABLES, NEURAL = 1000, 1400, 3650  # modules; measured 931, 1295 and 3,560 at most, with torch 2.13
MAY: dict[str, tuple[set[str], int]] = {
    **dict.fromkeys(("search_noise", "calibrate_noise", "certify_mechanism", "map_wins", "map_space"), (set(), LIGHT)),
    "verify_run": (set(), LIGHT),
    "prepare_dataset": ({"datasets", "pandas"}, TABLES),
    **dict.fromkeys(
        ("collect_results", "make_table", "compare_published", "measure_cost", "report"), ({"pandas"}, TABLES)
    ),
    "make_figure": ({"pandas", "matplotlib"}, 1600),
    "audit_mechanism": ({"torch"}, 1900),
    **dict.fromkeys(
        (
            "prepare_model",
            "tokenize_dataset",
            "cache_activations",
            "finetune_model",
            "evaluate_model",
            "audit_training",
        ),
        ({"torch", "transformers", "pandas"}, NEURAL),  # pandas comes with transformers
    ),
}
# One process imports what is common and forks for each stage, so that torch is loaded once.
SCRIPT = """
import importlib, json, os, sys
stages, heavy = json.loads(sys.argv[1])
for name, (module, common) in stages.items():
    for item in common:
        importlib.import_module(item)
    child = os.fork()
    if not child:
        importlib.import_module(module)
        print(json.dumps([name, len(sys.modules), sorted(set(heavy) & set(sys.modules))]), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.fixture(scope="module")
def loaded():
    heaviest = {"torch": "torch", "transformers": "transformers.modeling_utils"}
    common = {name: [item for key, item in heaviest.items() if key in MAY[name][0]] for name in STAGES}
    stages = {name: (STAGES[name].module, common[name]) for name in sorted(STAGES, key=lambda name: len(common[name]))}
    command = [sys.executable, "-c", SCRIPT, json.dumps([stages, sorted(HEAVY)])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {name: (count, set(found)) for name, count, found in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_loads_what_it_needs_and_no_more(loaded, stage):
    allowed, most = MAY[stage]
    count, found = loaded[stage]
    assert found <= allowed, f"{stage} loads {found - allowed}"
    assert count < most
