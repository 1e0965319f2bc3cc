"""The engine at the published models' true sizes on one GPU, in at most eight minutes.

    python benchmarks/gpu.py [--device cuda|cpu] [--size true|small] [--minutes M] [--only NAME]

Random weights; bfloat16 and float32; beside Opacus where it runs. Then 20 steps of the published plan for SST-2 with
random sentences of its lengths. What no time is left for is named. The table goes to benchmarks/results/, with the
device's name; on a CPU (`--device cpu --size small`) the script is only tried, and nothing is written.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
CASES = ("RoBERTa-large", "Llama-2-7B", "GPT-2")  # in the order in which they are wanted
STEPS, N, BATCH, LENGTH = 20, 67_349, 2048, 13  # of SST-2: examples, expected batch, tokens on average


def main() -> None:
    """Measure until the time is over, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--size", choices=("true", "small"), default="true")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    import torch

    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("device = 'cuda': torch finds no GPU here. To try the script: --device cpu --size small")
    end = time.monotonic() + 60 * options.minutes
    names = [name for name in (CASES if options.size == "true" else ("RoBERTa, LoRA",)) if options.only in name]
    text = published_plan(options) + "".join(
        measured(options, name, precision, end) for precision in ("bfloat16", "float32") for name in names
    )
    print(text)
    if options.device == "cuda":
        name = torch.cuda.get_device_name().replace(" ", "-").lower()
        (HERE / f"results/gpu-{name}.md").write_text(f"# {torch.cuda.get_device_name()}\n\n{text}", encoding="utf-8")


def measured(options: argparse.Namespace, name: str, precision: str, end: float) -> str:
    """Return the engine's table of one case, or what became of it."""
    left = end - time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, HERE / "engine.py", "--size", options.size, "--device", options.device]
        command += ["--precision", precision, "--only", name, "--engines", "lmodp,Opacus", "--repeats", "3"]
        try:
            subprocess.run([*map(str, command), "--peaks", "1", "--out", folder], timeout=max(left, 1), check=True)
            return f"## {name}, {precision}\n\n{next(Path(folder).glob('*.md')).read_text(encoding='utf-8')}\n"
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
            return f"## {name}, {precision}\n\nNot measured: {type(error).__name__}, {left:.0f} s were left.\n\n"


def published_plan(options: argparse.Namespace) -> str:
    """Return the seconds of a step of the published plan: LMO noise, the whole of RoBERTa-large, bfloat16."""
    from engine_cases import cases

    import lmodp
    from lmodp.plan import Plan
    from lmodp.training import TokenColumns, TrainingSettings, classification_loss, train
    from lmodp.training.memory import peak_memory

    true = options.size == "true"
    case = cases(options.size)["RoBERTa-large, full" if true else "RoBERTa, LoRA"]
    model, generator = case.model(options.device), np.random.default_rng(0)
    size, batch, steps = (N, BATCH, STEPS) if true else (200, 16, 3)
    rows = [generator.integers(5, 30_000, size=length) for length in generator.poisson(LENGTH - 3, size=size) + 3]
    labels = {"labels": generator.integers(0, 2, size=size)}
    columns = TokenColumns({"input_ids": rows}, padding={"input_ids": 1}, values=labels, device=options.device)
    plan = Plan.for_batches(
        expected_batch_size=batch, dataset_size=size, steps=steps, noise=lmodp.load_noise("lmo-0.3"), clip_norm=1.0
    )
    seconds: list[float] = []
    result = train(
        model,
        plan=plan,
        examples=columns,
        loss=classification_loss,
        settings=TrainingSettings(learning_rate=5e-4, micro_batch_size=256 if true else 8, precision="bfloat16"),
        seeds={"sampling": 0, "dropout": 0, "noise": 0},
        progress=lambda step, steps: seconds.append(time.perf_counter()),
    )
    within = result.record["noise_measured"]["within_tolerance"]
    peak = peak_memory(next(model.parameters()).device)["peak_memory_bytes"]
    facts = {"steps": steps, "seconds a step": round(statistics.median(np.diff(seconds)), 4), "peak bytes": peak}
    return (
        f"## {case.name}, {steps} steps of the published plan\n\n{json.dumps(facts)}; noise as expected: {within}\n\n"
    )


if __name__ == "__main__":
    main()
