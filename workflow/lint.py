"""Run Snakemake's own checks of the workflow, but for one: its demand of a conda or container line in every rule.

One environment, pinned in requirements.lock, serves all rules; a line in each would say nothing more.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WAIVED = "Specify a conda environment or container for each rule."
PLACE = re.compile(r"^Lints for (.*):$")
FINDING = re.compile(r"^    \* (.*):$")


def main() -> int:
    """Print what is found; the exit status is 1 if there is anything."""
    command = [sys.executable, "-m", "snakemake", "--lint", "--configfile", "config/smoke.yaml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = list(findings(done.stderr))
    remaining = [f"{place}: {text}" for place, text in found if text != WAIVED]
    print("\n".join(remaining) or "Snakemake finds nothing.")
    if done.returncode and not found:  # it did not come as far as its checks
        print(done.stderr, file=sys.stderr)
        return done.returncode
    return 1 if remaining else 0


def findings(text: str) -> list[tuple[str, str]]:
    """Return each finding as place and title, from the text that Snakemake prints; its command line gives no JSON."""
    place, found = "", []
    for line in text.splitlines():
        if match := PLACE.match(line):
            place = match[1]
        elif match := FINDING.match(line):
            found.append((place, match[1]))
    return found


if __name__ == "__main__":
    sys.exit(main())
