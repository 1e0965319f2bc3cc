"""The board: every claim with its verdict, and one page a claim, from the records alone."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lmodp.claims.verdict import UNSUPPORTED, VERDICTS
from lmodp.records.record import json_text, write_bytes
from lmodp.reporting.formats import NOTHING, at_least, at_most, count, number, plain_list
from lmodp.reporting.page.report import render
from lmodp.reporting.tables.render import Page, Table, markdown, to_markdown

Records = Mapping[str, Mapping[str, Any]]
BOARD, PAGES, HTML = Path("docs/claims.md"), Path("docs/claims"), Path("results/claims/board.html")
TITLE = "Claims checked"
WORDS = {
    "poisson": "Poisson samples",
    "fixed_size": "batches of a fixed size, each drawn anew",
    "shuffled": "shuffled batches",
    "full_batch": "full batches",
    "add_or_remove_one": "one example more or less",
    "replace_one": "one example replaced",
}
_LONG = re.compile(r"\d+\.\d{6,}")  # a number with more digits than a reader needs
HEADS = ("claim", "verdict", "claimed ε", "proven interval", "δ", "paper", "setting", "evidence")
CAPTION = (
    "A verdict is about formulas and code, never about people. Intervals are rounded outwards. A paper counts once. "
    "Every claim is checked by this suite, not reviewed by others, unless its page says otherwise. Files of "
    "repositories were looked up at their commits; some places in papers are second-hand, because the paper could not "
    "be opened: a review opens it."
)


def write_board(records: Records) -> list[Path]:
    """Write the board, a page for each claim and the page with a filter box; remove what is of claims that are gone.

    Args:
        records: by the claim's id.
    """
    made = {BOARD: board(records), HTML: board_html(records)}
    made |= {PAGES / f"{name}.md": claim_page(name, record) for name, record in records.items()}
    for path in [*PAGES.glob("*.md"), *HTML.parent.glob("*.json")]:
        if path.stem not in records:
            path.unlink()
    for path, text in made.items():
        write_bytes(path, text.encode())
    return list(made)


def board(records: Records) -> str:
    """Return the board as Markdown; a claim's name leads to its page."""
    page = to_markdown([_table(records)], title=TITLE)
    for name in records:
        page = page.replace(f"\n| {markdown(name)} |", f"\n| [{markdown(name)}](claims/{name}.md) |")
    how = "[How to send a claim](../claims/README.md). `lmodp claims check all` makes this page from the claim files."
    return f"{page}\n{how}\n"


def board_html(records: Records) -> str:
    """Return the board in the form of the report, with its filter box and all facts of each claim below."""
    facts = [{"cell": name, "status": item["verdict"], "text": json_text(item)} for name, item in records.items()]
    pages = [replace(_table(records), before=())]  # its sentences stand at the top
    part = {"id": "claims", "title": TITLE, "pages": pages, "figures": []}
    return render(title=TITLE, grid="claims", answer=summary(records), main=None, parts=[part], provenance=facts)


def summary(records: Records) -> list[str]:
    """Return how many claims of how many papers have each verdict, in sentences."""

    def told(found: list[Mapping[str, Any]]) -> str:
        claims, papers = len(found), len({item["spec"]["paper"] for item in found})
        return f"{count(claims)} claim{'s' * (claims != 1)} of {count(papers)} paper{'s' * (papers != 1)}"

    by_verdict = {verdict: [item for item in records.values() if item["verdict"] == verdict] for verdict in VERDICTS}
    judged = [item for item in records.values() if item["verdict"] != UNSUPPORTED]
    parts = [f"{verdict}: {told(found)}" for verdict, found in by_verdict.items() if found]
    return [f"{told(list(records.values()))}; {told(judged)} with a verdict.", f"{'; '.join(parts)}."]


def _table(records: Records) -> Page:
    rows = [_row(name, record, reading) for name, record in records.items() for reading in record["readings"]]
    links = [name for name, record in records.items() for _ in record["readings"]]
    table = Table("", HEADS, rows, links=links, sides="llrrrlll")
    return Page("All claims", CAPTION, [table], before=tuple(summary(records)))


def _row(name: str, record: Mapping[str, Any], reading: Mapping[str, Any]) -> tuple[str, ...]:
    spec, read = record["spec"], f", {reading['name']}" if reading["name"] else ""
    return (
        name,
        reading["verdict"],
        number(reading["epsilon"]),
        f"[{at_least(reading['lower'], 4)}, {at_most(reading['upper'], 4)}]" if reading["routes"] else NOTHING,
        _delta(reading["delta"]),
        f"{spec['title']} ({spec['source']})",
        f"{spec['setting']}{read} ({'as coded' if spec['about'] == 'code' else 'as described'})",
        _evidence(reading, spec),
    )


def _evidence(reading: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    found = plain_list([item["finding"].replace("_", " ") for item in spec.get("checks", ())])
    return f"{reading['because']}{f'. In the code: {found}' if found else ''}"


def claim_page(name: str, record: Mapping[str, Any]) -> str:
    """Return the page of a claim: numbers, routes, where each setting is written, findings, commands.

    Args:
        name: id; of a claim that has no record in ``results/claims/``, the path of its file.
        record: of the claim.
    """
    spec, kept = record["spec"], Path(name).parent == Path()
    blocks = [
        f"# {markdown(name)}",
        f"{markdown(spec['title'])} ({markdown(spec['source'])}): {markdown(spec['setting'])}.",
        f"**Verdict: {record['verdict']}.** {markdown(_sentence(record['because']))} {_sentence(record['review'])}",
        *([relative] if (relative := _relative(spec)) else []),
        *(block for reading in record["readings"] for block in _reading(reading)),
        "## What is claimed, and where it is written",
        "\n".join(_settings(spec)),
        "\n".join(f"- {plain_list(place['of'])}: {_where(place)}" for place in spec["places"]),
        *_findings(spec),
        "## Check it again",
        "\n".join(["```sh", f"lmodp claims check {name}", *[f"lmodp claims show {name} --json"] * kept, "```"]),
    ]
    return "\n\n".join(blocks) + "\n"


def _relative(spec: Mapping[str, Any]) -> str:
    """Return a warning where a printed noise multiplier is taken over another sensitivity than the clip norm."""
    length, given = spec["release"].get("sensitivity", 1.0), (spec.get("noise") or {}).get("noise_multiplier")
    if given is None or length == 1:
        return ""
    return (
        f"Beware: the sensitivity is given as {length:g}, so the noise multiplier {given:g} is judged as "
        f"{given / length:g} clip norms. A multiplier that is relative to the clip norm of a sum needs no sensitivity."
    )


def _reading(reading: Mapping[str, Any]) -> list[str]:
    known, name = reading["settings"], reading["name"]
    facts = f"Claimed: ε = {number(reading['epsilon'])} at δ = {_delta(reading['delta'])}."
    if known:
        laws = (_LONG.sub(lambda found: f"{float(found[0]):.6g}", json.dumps(law)) for law in known["noise"])
        noise = " to ".join(dict.fromkeys(laws))
        much = f"{known['epochs']:g} epochs" if "epochs" in known else f"{count(known['steps'])} steps"
        size = f", {known['group_size']} times" if known["group_size"] > 1 else ""
        facts += (
            f" Checked: {WORDS[known['sampler']]}, sampling rate {known['sampling_rate']:.6g}, {much}, noise "
            f"`{noise}`, neighbours differ by {WORDS[known['adjacency']]}{size}."
        )
    rows = [
        (route["name"] + note, route["how"], at_least(route["lower"], 6), _upper(route["upper"]))
        for routes, note in ((reading["routes"], ""), (reading["as_poisson"], ", as if Poisson"))
        for route in routes
    ]
    verdict = f"**{reading['verdict']}**: {markdown(reading['because'])}."
    lines = ["| route | how | ε at least | ε at most |", "| :--- | :--- | ---: | ---: |"]
    lines += [f"| {' | '.join(map(markdown, row))} |" for row in rows]
    return [f"## {f'If {name}' if name else 'The check'}", facts, *(["\n".join(lines)] if rows else []), verdict]


def _settings(spec: Mapping[str, Any]) -> list[str]:
    """Return what the claim gives, one line for each section."""
    given = {key: spec[key] for key in ("claimed", "release", "noise", "run", "further") if spec.get(key)}
    return ["```yaml", *(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in given.items()), "```"]


def _findings(spec: Mapping[str, Any]) -> list[str]:
    found = [
        f"- {item['finding'].replace('_', ' ')}: {markdown(item['evidence'])} ({_where(item['place'])})"
        for item in spec.get("checks", ())
    ]
    found += [f"- not found: {markdown(item)}" for item in spec.get("missing", ())]
    found += [f"- note: {markdown(spec['note'])}"] if spec.get("note") else []
    found += [f"- see also [{item}]({item}.md)" for item in spec.get("see", ())]
    told = [("an author's answer", spec["answer"])] if spec.get("answer") else []
    found += [
        f"- {kind} ({markdown(item['by'])}, {item['date']}): {markdown(item['said'])} ({_where(item['place'])})"
        for kind, item in [*told, *(("a review", item) for item in spec.get("reviews", ()))]
    ]
    return ["## Findings", "\n".join(found)] if found else []


def _where(place: Mapping[str, Any]) -> str:
    code = f"{place['repository']}, `{place['path']}` at `{place['commit'][:12]}`" if "repository" in place else ""
    return ", ".join(filter(None, [markdown(place.get("paper", "")), code]))


def _delta(value: float | None) -> str:
    return NOTHING if value is None else f"{value:g}"


def _upper(value: float | None) -> str:
    return NOTHING if value is None else at_most(value, 6)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + ("" if text.endswith(".") else ".")
