"""The documentation: links lead somewhere, named tests exist, docstrings name real arguments, sentences are short."""

import ast
import importlib.util
import json
import logging
import re
import subprocess
import sys
from pathlib import Path

import griffe
import pytest
import yaml

from lmodp.cli import COMMANDS
from lmodp.data.cards import DATASETS
from lmodp.data.locks import locked_packages
from lmodp.grid.config import check_config
from lmodp.models.cards import MODELS
from lmodp.records.fields import fields_of, stages
from tests.contracts.test_own_data import write_csv
from tests.contracts.tiny_models import write
from tests.faults.summarise import block as faults_block

ROOT = Path(__file__).resolve().parents[2]
MOST_WORDS = 35  # of a sentence
MADE = ("docs/readme/", "docs/claims", "results/reference/", "results/quick/", "results/smoke/")  # from records
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def pages():
    folders = [ROOT / name for name in (".github", "baselines", "claims", "config", "docs", "lmodp", "results")]
    found = [*ROOT.glob("*.md"), *(page for folder in folders for page in folder.rglob("*.md"))]
    return [page for page in found if not page.relative_to(ROOT).as_posix().startswith(MADE)]


def prose(text):
    """The text without code and without the blocks that are made from records."""
    text = re.sub(r"<!-- results:\w+:begin -->.*?<!-- results:\w+:end -->", "", text, flags=re.DOTALL)
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(path):
    """The anchors of a page, as a site and a forge make them from its headings."""
    heads = re.findall(r"^#+ (.+)$", prose(path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", head.lower()).strip()) for head in heads}


def broken_links(path):
    for target in LINK.findall(prose(path.read_text(encoding="utf-8"))):
        if re.match(r"\w+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        if not there.exists() or (anchor and anchor not in anchors(there)):
            yield target


def sentences(text):
    for part in re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )|\n(?=#)|^\|.*$", prose(text), flags=re.MULTILINE):
        plain = re.sub(r"`[^`]*`", "code", LINK.sub("link", " ".join(part.split())))
        yield from re.split(r"(?<=[.!?:;]) ", plain)


def words(sentence):
    return re.findall(r"[A-Za-z][\w'’-]+", sentence)  # formulas are not counted


def test_every_link_leads_to_a_file_and_a_heading():
    assert {str(path): found for path in pages() if (found := list(broken_links(path)))} == {}


def test_a_link_to_nothing_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One\n[a](page.md#one) [b](page.md#two) [c](gone.md) [d](https://example.org)\n")
    assert list(broken_links(page)) == ["page.md#two", "gone.md"]


def test_blocks_and_inner_lists_are_written_in_the_one_way_that_the_site_and_a_forge_know():
    for page in pages():
        text = page.read_text(encoding="utf-8")
        heads = re.findall(r"^ *```.*$", text, re.MULTILINE)
        odd = [head for head in heads if not re.fullmatch(r' *```(\w+( title="[\w.]+")?)?', head)]
        assert len(heads) % 2 == 0 and odd == [], page
        assert not re.search(r"^ {1,3}(?:[-*]|\d+\.) ", prose(text), re.MULTILINE), (
            f"{page}: four blanks before an inner list"
        )


def test_sentences_are_short():
    long = [(path.name, found) for path in pages() for found in sentences(path.read_text(encoding="utf-8"))]
    assert [item for item in long if len(words(item[1])) > MOST_WORDS] == []


def test_every_test_that_the_page_on_dangers_names_exists():
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs/dangers.md").read_text(encoding="utf-8"))
    assert len(named) >= 20
    for file, name in named:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, f"{file}::{name}"


@pytest.fixture(scope="module")
def package():
    logging.getLogger("griffe").setLevel(logging.CRITICAL)
    return griffe.load("lmodp", search_paths=[ROOT], docstring_parser="google")


def test_files_and_names_of_the_code_on_the_pages_exist(package):
    missing = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        for file in re.findall(r"`((?:baselines|config|docs|lmodp|tests|workflow)/[\w./-]*)`", text):
            missing += [] if (ROOT / file).exists() or re.search("my_noise|[A-Z]{4}", file) else [(page.name, file)]
        for name in re.findall(r"`lmodp\.([\w.]+)[`(]", text):
            missing += [] if name == "__version__" or resolves(package, name) else [(page.name, name)]
    assert not missing, missing


def test_the_configuration_of_ones_own_data_on_the_page_is_read(tmp_path):
    (shown,) = re.findall(r"```yaml\n(data_root.*?)```", (ROOT / "docs/sources.md").read_text(), re.DOTALL)
    (tmp_path / "reviews.csv").write_text("review,stars\n" + "".join(f"text {n},{n % 2}\n" for n in range(40)))
    values = yaml.safe_load((ROOT / "config/smoke.yaml").read_text()) | yaml.safe_load(shown)
    experiment = values["experiments"]["head"] | {"dataset": "mine"}
    experiment["training"] |= {"expected_batch_size": 8}
    config = check_config(values | {"experiments": {"head": experiment}, "data_root": str(tmp_path)})
    assert set(config.models) == {"my_encoder"}
    assert config.own_data["mine"]["train_size"] + config.own_data["mine"]["evaluation_size"] == 40


def resolves(package, name):
    try:
        return package[name]
    except KeyError:
        return False


def test_the_python_on_the_pages_runs(tmp_path, monkeypatch):
    shown = [path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))]
    blocks = [block for text in shown for block in re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)]
    assert blocks
    for number, block in enumerate(blocks):
        home = tmp_path / str(number)
        home.mkdir()
        if "reviews.csv" in block:  # what stands for the reader's own
            write_csv(home / "reviews.csv", rows=60)
            write(home / "my_models/distilbert", "distilbert")
        monkeypatch.chdir(home)
        exec(block, {})


def test_the_readme_of_accounting_lists_what_is_there():
    folder = ROOT / "lmodp/accounting"
    listed = set(re.findall(r"^\| `([\w.]+)/?` \|", (folder / "README.md").read_text(encoding="utf-8"), re.MULTILINE))
    there = {path.name for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert listed == there - {"__init__.py"}


def test_the_continuous_check_calls_targets_of_the_makefile_on_every_supported_python():
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    called = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert {line.removeprefix("make ") for line in called} - set(targets) == {"${{ matrix.target }}"}
    long = [target for target in targets if target.startswith("test-")]
    assert jobs["weekly"]["strategy"]["matrix"]["target"] == long
    assert jobs["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]


def every(thing):
    for member in thing.members.values():
        if not member.is_alias:
            yield member
            yield from every(member) if member.is_module or member.is_class else ()


def documented(thing):
    """The arguments that a docstring explains; one line may explain several ("lower, upper: ...")."""
    for section in thing.docstring.parse("google", warnings=False) if thing.docstring else ():
        if section.kind.value == "parameters":
            yield from (name.strip(" *") for item in section.value for name in item.name.split(","))


def test_docstrings_explain_arguments_that_are_there(package):
    callables = [thing for thing in every(package) if thing.is_function or thing.is_class]
    unknown = [
        f"{thing.path}: {name}"
        for thing in callables
        for name in documented(thing)
        if name not in {parameter.name for parameter in thing.parameters}
    ]
    assert len(callables) > 500 and unknown == []


@pytest.fixture(scope="module")
def hooks():
    spec = importlib.util.spec_from_file_location("hooks", ROOT / "docs/hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_navigation_names_every_page(hooks):
    named = set(re.findall(r"^ +- (?:[^:\n]+: )?(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    kept = {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")}
    kept = {page for page in kept if not page.startswith("claims/")}  # the board leads to them
    assert named == kept | {*hooks.PAGES.values(), "command_line.md", "records.md", "data_sets.md", "models.md"}
    assert all((ROOT / page).exists() for page in hooks.PAGES)


def test_the_cards_show_sizes_checksums_and_overlaps(hooks):
    data, models = hooks.data_sets(), hooks.models()
    assert all(f"{card.train_size:,}" in data and f"{{ #{name} }}" in data for name, card in DATASETS.items())
    assert all(f"{{ #{name} }}" in models for name in MODELS)
    assert all(package.sha256 in data + models for package in locked_packages().values())
    sst2 = data.split("{ #sst2 }")[1].split("\n## ")[0]
    assert "movie_reviews" in sst2, "SST-2 and the movie reviews share sentences"


def test_every_command_has_its_help(hooks):
    page = hooks.command_line()
    assert all(f"## {name}\n" in page and f"usage: lmodp {name} " in page for name in COMMANDS)


def test_every_field_of_every_record_is_explained(hooks):
    page = hooks.records()
    for stage, line in [*((name, False) for name in stages()), *((name, True) for name in stages(line=True))]:
        fields, section = fields_of(stage, line=line, own=True), page.split(f"## {stage}\n")[1].split("\n## ")[0]
        assert all(f"| `{path}` | {field.type} | {field.meaning} |" in section for path, field in fields.items())


def test_docstrings_become_markdown(hooks):
    table = "    =====  ===\n    ``a``  one\n    =====  ==="
    assert hooks.readable(f"Head.\n\n{table}\n\nMore.") == f"Head.\n\n    ```text\n{table}\n    ```\n\nMore."
    text = "Returns:\n    ``b``   two\n\n>>> 1\n1"
    assert hooks.readable(text) == "Returns:\n    - ``b``: two\n\nExamples:\n    >>> 1\n    1"


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_asks_no_network(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr[-2000:]
    for page in tmp_path.rglob("*.html"):
        loaded = re.findall(r"<(?:script|img|iframe|link)\b[^>]*?(?:src|href)=[\"']?([^\"' >]+)", page.read_text())
        assert [found for found in loaded if "//" in found] == [], page
        assert "```" not in re.sub(r"<code>.*?</code>", "", page.read_text(), flags=re.DOTALL), page
    assert "sigma_effective" in (tmp_path / "search/search_index.js").read_text()


def test_the_readme_says_what_the_default_grid_was_measured_to_take():
    """Half of its processor time, on two cores, to a third: what is printed there is rounded."""
    measured = (ROOT / "benchmarks/results/grid-quick.md").read_text()
    minutes = float(re.search(r"^([\d.]+) s of processor time", measured, re.MULTILINE)[1]) / 60 / 2
    told = float(re.search(r"default grid \(about (\d+) minutes on 2 cores\)", (ROOT / "README.md").read_text())[1])
    assert 0.75 * minutes < told < 4 / 3 * minutes


def test_the_readme_has_the_counts_of_the_reliability_harness():
    counts = json.loads((ROOT / "benchmarks/results/faults.json").read_text())["counts"]
    assert faults_block(counts) in (ROOT / "README.md").read_text()
    assert all(kind["tried"] for kind in counts.values()) and sum(kind["tried"] for kind in counts.values()) > 8000
