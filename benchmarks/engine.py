"""Speed and memory of the private step, compared with the non-private step and with other engines.

    python benchmarks/engine.py [--size small|true] [--device cpu|cuda] [--precision float32|bfloat16]
                                [--repeats N] [--threads N] [--clock wall|cpu] [--only NAME]
                                [--engines NAMES] [--peaks N] [--out FOLDER]

Each engine and case is timed in its own process: in a shared one, memory freed by the first
engine speeds up the next. In this process the engine and the non-private engine alternate, each
on its own model. The table gives the median over the repeats of (engine's time / non-private
time of the same repeat).

Peak memory is also measured in a fresh process for every case and engine. It is the largest
resident set (CUDA: the most memory that torch allocated) during two gradients, minus the amount
after loading the model and one forward pass of one example. The non-private peak is measured in
the same way; the table gives the median of three such pairs.
"""

import argparse
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
BASE = "non-private"


def main() -> None:
    """Measure what is asked for; without a task, measure every case and write the report."""
    options = read_options()
    if options.clock == "cpu":
        options.threads = 1  # waiting threads would be counted
    if options.task == "times":
        return print(json.dumps(measure_times(options)))
    if options.task == "memory":
        return print(json.dumps(measure_memory(options)))
    if options.task == "noise":
        return print(json.dumps(measure_noise(options)))
    report = {"environment": environment(options), "cases": []}
    for name in wanted_cases(options):
        print(f"measuring {name}", file=sys.stderr, flush=True)
        report["cases"].append(measure_case(options, name))
    report["noise"] = child(options, "noise")
    options.out.mkdir(parents=True, exist_ok=True)
    stem = f"engine-{options.device}-{options.size}"
    (options.out / f"{stem}.json").write_text(json.dumps(report, indent=1) + "\n")
    (options.out / f"{stem}.md").write_text(table(report))
    print(table(report))


def read_options() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=("small", "true"), default="small")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu: processor time of one thread, for busy machines",
    )
    parser.add_argument("--only", default="", help="measure the cases whose name contains this text")
    parser.add_argument(
        "--engines", default="", help="measure the engines whose name contains one of these texts, separated by commas"
    )
    parser.add_argument("--peaks", type=int, default=3, help="how often memory is measured")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--task", choices=("all", "times", "memory", "noise"), default="all", help=argparse.SUPPRESS)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    return parser.parse_args()


def wanted_cases(options: argparse.Namespace) -> list[str]:
    """Return the names of the cases that ``--only`` selects."""
    from engine_cases import cases

    return [name for name in cases(options.size) if options.only in name]


def environment(options: argparse.Namespace) -> dict[str, object]:
    """Return the facts about the machine and versions on which the numbers depend."""
    import torch
    import transformers
    from engine_cases import cases

    device = torch.cuda.get_device_name() if options.device == "cuda" else f"{processor()}, {options.threads} threads"
    return {
        "device": device,
        "clock": options.clock,
        "precision": options.precision,
        "repeats": options.repeats,
        "batch_size": 32,
        "length": ", ".join(sorted({str(case.length) for case in cases(options.size).values()}, key=int)),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "load_before": os.getloadavg()[0],
    }


def processor() -> str:
    """Return the processor's name as the system reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def child(options: argparse.Namespace, task: str, **names: str) -> dict:
    """Run one task in its own process and return what it prints."""
    command = [
        sys.executable,
        str(HERE / "engine.py"),
        "--task",
        task,
        "--size",
        options.size,
        "--device",
        options.device,
        "--precision",
        options.precision,
        "--repeats",
        str(options.repeats),
        "--threads",
        str(options.threads),
        "--clock",
        options.clock,
    ]
    for key, value in names.items():
        command += [f"--{key}", value]
    threads = {name: str(options.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    env = {**os.environ, **threads, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return {"failed": lines[-1]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure_case(options: argparse.Namespace, name: str) -> dict[str, object]:
    """Return a case's rows: times of every engine and the non-private one, then memory of those that ran."""
    from engine_adapters import ADAPTERS

    rows: dict[str, dict] = {}
    for engine in (
        item for item in ADAPTERS if item != BASE and any(part in item for part in options.engines.split(","))
    ):
        found = child(options, "times", case=name, engine=engine)
        if BASE in found and BASE not in rows:
            rows = {BASE: found[BASE], **rows}
        rows[engine] = found.get(engine, {"reason": found.get("failed")})
    runs = [engine for engine, row in rows.items() if "reason" not in row]
    peaks = {
        engine: [child(options, "memory", case=name, engine=engine)["peak_bytes"] for _ in range(options.peaks)]
        for engine in runs
    }
    for engine, values in peaks.items():
        rows[engine]["peak_bytes"] = statistics.median(values)
        rows[engine]["memory_ratio"] = statistics.median(a / b for a, b in zip(values, peaks[BASE], strict=True))
    return {"case": name, "engines": rows}


def measure_times(options: argparse.Namespace) -> dict[str, object]:
    """Time one engine and the non-private one alternately; an engine that does not run gets a reason."""
    from engine_adapters import build_adapter, reason_of
    from engine_cases import cases

    case, adapters = prepared(options, cases), {}
    for name in (BASE, options.engine):
        try:
            adapters[name] = build_adapter(name, case, options.device, options.precision)
        except Exception as error:  # a peer may fail in any way; the reason is the result
            if name in (BASE, "lmodp"):
                raise
            return {name: {"reason": reason_of(error)}}
    batch, rows = case.batch(options.device), {name: {} for name in adapters}
    for part in ("gradient", "step"):
        seconds = alternately({name: getattr(adapter, part) for name, adapter in adapters.items()}, batch, options)
        for name, values in seconds.items():
            ratios = [value / base for value, base in zip(values, seconds[BASE], strict=True)]
            rows[name] |= {f"{part}_seconds": statistics.median(values), f"{part}_ratio": statistics.median(ratios)}
    for row in rows.values():
        row["many_ratio"] = seconds_of_many(row) / seconds_of_many(rows[BASE])
    return rows


def prepared(options: argparse.Namespace, cases):
    """Return the case; the process is set up like a training job, in the same way for all engines."""
    from lmodp.training.memory import set_up_training

    set_up_training(options.threads)
    return cases(options.size)[options.case]


def alternately(functions: dict, batch: dict, options: argparse.Namespace) -> dict[str, list[float]]:
    """Return the seconds of every function in every repeat, after two repeats to warm up."""
    seconds = {name: [] for name in functions}
    for repeat in range(options.repeats + 2):
        for name, function in functions.items():
            elapsed = timed(lambda function=function: function(batch), options)
            if repeat >= 2:
                seconds[name].append(elapsed)
    return seconds


def timed(function, options: argparse.Namespace) -> float:
    """Return the seconds that one call takes, the device's work included."""
    import torch

    clock = time.perf_counter if options.clock == "wall" else time.process_time
    if options.device == "cuda":
        torch.cuda.synchronize()
    start = clock()
    function()
    if options.device == "cuda":
        torch.cuda.synchronize()
    return clock() - start


def measure_memory(options: argparse.Namespace) -> dict[str, int]:
    """Return the peak memory of two gradients, above that of the loaded model."""
    import torch
    from engine_adapters import ADAPTERS
    from engine_cases import cases

    case = prepared(options, cases)
    model, batch = case.model(options.device), case.batch(options.device)
    adapter = ADAPTERS[options.engine](model, case.loss, case.batch_size, options.precision)
    with torch.no_grad():
        case.loss(model, {name: value[:1] for name, value in batch.items()})
    gc.collect()
    meter = CudaPeak() if options.device == "cuda" else ResidentPeak()
    for _ in range(2):
        adapter.gradient(batch)
    return {"peak_bytes": meter.above()}


class ResidentPeak:
    """The largest resident set since now, from /proc (the mark is reset first)."""

    def __init__(self):
        Path("/proc/self/clear_refs").write_text("5")
        self.start = self.read("VmRSS")

    def above(self) -> int:
        """Return the bytes above those at the start."""
        return self.read("VmHWM") - self.start

    @staticmethod
    def read(field: str) -> int:
        """Return one field of this process's status, in bytes."""
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))


class CudaPeak:
    """The most that torch has allocated since now."""

    def __init__(self):
        import torch

        self.cuda = torch.cuda
        self.cuda.reset_peak_memory_stats()
        self.start = self.cuda.memory_allocated()

    def above(self) -> int:
        """Return the bytes above those at the start."""
        return self.cuda.max_memory_allocated() - self.start


def measure_noise(options: argparse.Namespace) -> dict[str, float]:
    """Return nanoseconds per number for torch.randn and for the suite's noise, measured alternately."""
    import torch

    from lmodp.mechanisms import PUBLISHED, Gaussian
    from lmodp.training.noise import DeviceNoise, draw

    torch.set_num_threads(options.threads)
    count, generator = 1 << 22, torch.Generator(device=options.device).manual_seed(1)
    laws = {"Gaussian": Gaussian(std=1.0), "LMO 0.3": PUBLISHED["lmo-0.3"].noise}
    functions = {"torch.randn": lambda _: torch.randn(count, generator=generator, device=options.device)}
    for name, law in laws.items():
        DeviceNoise(law, options.device)
        functions[name] = lambda _, law=law: draw(law, (count,), generator, options.device)
    seconds = alternately(functions, {}, options)
    found = {name: 1e9 * statistics.median(values) / count for name, values in seconds.items()}
    ratios = {
        name: statistics.median(a / b for a, b in zip(values, seconds["torch.randn"], strict=True))
        for name, values in seconds.items()
    }
    return {"nanoseconds": found, "ratio": ratios}


def table(report: dict) -> str:
    """Return the report as Markdown."""
    facts = report["environment"]
    lines = [
        f"{facts['device']}, {facts['clock']} time; {facts['precision']}, batch {facts['batch_size']}, "
        f"length {facts['length']}; torch {facts['torch']}, transformers {facts['transformers']}; "
        f"median of {facts['repeats']}.",
        "",
        "Ratios to the non-private engine. Gradient: forward pass, backward pass and clipped sum of one batch. Step:",
        "gradient, one draw of noise for all weights, and AdamW, for one batch and for 32 batches (a private batch of",
        "1,024; computed from the two times). The non-private engine's milliseconds are those measured together with",
        "the first other engine.",
        "",
        "| case | engine | gradient | step of 32 | step of 1,024 | peak memory | gradient, ms | peak, MB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for case in report["cases"]:
        lines += [table_row(case["case"], name, row) for name, row in case["engines"].items()]
    noise = report["noise"]
    lines += ["", "| noise | ns per number | ratio to torch.randn |", "| --- | --- | --- |"]
    lines += [f"| {name} | {value:.2f} | {noise['ratio'][name]:.2f} |" for name, value in noise["nanoseconds"].items()]
    return "\n".join(lines) + "\n"


def table_row(case: str, name: str, row: dict) -> str:
    """Return a case's row of the table: ratios to the non-private step, or why there are none."""
    if "reason" in row:
        return f"| {case} | {name} | does not run: {row['reason'].replace('|', '/')} | | | | | |"
    return (
        f"| {case} | {name} | {row['gradient_ratio']:.2f} | {row['step_ratio']:.2f} "
        f"| {row['many_ratio']:.2f} | {row['memory_ratio']:.2f} "
        f"| {1e3 * row['gradient_seconds']:.0f} | {row['peak_bytes'] / 1e6:.0f} |"
    )


def seconds_of_many(row: dict, batches: int = 32) -> float:
    """Return the seconds of a step over many batches; noise and AdamW run once per step."""
    return batches * row["gradient_seconds"] + row["step_seconds"] - row["gradient_seconds"]


if __name__ == "__main__":
    main()
