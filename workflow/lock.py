"""Write requirements.lock and environment.yml from what is installed beside the running Python.

Called by `make lock` in an environment that holds the suite with all its extras and nothing else.
"""

from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAD = """\
# Every package of the environment, pinned. Made with `make lock` from pyproject.toml.
# torch carries no local version and no hash on purpose: a CPU and a CUDA build both satisfy it.
"""
CONDA = """\
# The conda form of requirements.lock (the same pins; a test holds them equal), and the suite itself (`--editable .`).
# Made with `make lock`. Set up with `conda env create --file environment.yml`. This was not tried with conda where it
# was written; there the list below `pip:` was installed by pip.
name: lmodp
channels:
  - conda-forge
dependencies:
  - python>=3.11,<3.14
  - make
  - pip
  - pip:
"""


def main() -> None:
    """Write both files."""
    skipped = {"pip", "setuptools", "wheel", "lmodp"}
    found = {item.name: item.version.split("+")[0] for item in distributions() if item.name.lower() not in skipped}
    pins = [f"{name}=={found[name]}" for name in sorted(found, key=str.lower)]
    conda = "".join(f"      - {line}\n" for line in [*pins, "--editable ."])
    (ROOT / "requirements.lock").write_text(HEAD + "\n".join(pins) + "\n", encoding="utf-8")
    (ROOT / "environment.yml").write_text(CONDA + conda, encoding="utf-8")


if __name__ == "__main__":
    main()
