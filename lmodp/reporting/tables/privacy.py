"""The privacy table: claimed, paper's bound, verified and audited epsilon, one row per mechanism."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lmodp.mechanisms import Releases
from lmodp.reporting.captions import PRIVACY_UNIT, lower_end_coordinates
from lmodp.reporting.formats import NOTHING, count, interval, number
from lmodp.reporting.tables.render import Notes, Page, Table

COLUMNS = tuple(
    """
    mechanism method calibration epsilon delta setting expected_batch_size dataset_size steps claimed_step
    claimed_order claimed_order_in_domain claimed_run published_epsilon_run pure_scalar_step paper_bound_step
    paper_bound_run verified_lower verified_limit verified_upper worst_shift mu zcdp audited_lower
    audited_confidence audited_trials audited_delta audited_refutes_claimed verified_lower_at_1e-5
    verified_upper_at_1e-5 noise_multiplier noise_mean_abs sigma_effective efficiency note status reason
    claimed_reason pure_scalar_reason paper_bound_reason verified_reason audited_reason noise_reason
    """.split()
)
HEADS = {  # of each column but the first, with the number by which it is sorted
    "target ε": "epsilon",
    "δ": "delta",
    "claimed ε, step": "claimed_step",
    "claimed ε, run": "claimed_run",
    "pure scalar ε, step": "pure_scalar_step",
    "paper's bound ε, step": "paper_bound_step",
    "paper's bound ε, run": "paper_bound_run",
    "verified ε, run [lower, upper]": "verified_upper",
    "audited ε, run": "audited_lower",
    "μ (GDP)": "mu",
    "ρ (zCDP)": "zcdp",
    "verified ε, run, at δ = 1e-5": "verified_upper_at_1e-5",
    "noise multiplier": "noise_multiplier",
    "σ_effective": "sigma_effective",
    "efficiency": "efficiency",
}


def privacy_pages(results: Mapping[str, Any]) -> list[Page]:
    """Return one table for each sampling rate and number of steps that occurs."""
    groups: dict[tuple[float, float, int], list[Mapping[str, Any]]] = {}
    for item in results["mechanisms"].values():
        if item["calibration"] is not None:
            groups.setdefault((item["dataset_size"], item["expected_batch_size"], item["steps"]), []).append(item)
    return [_page(key, items, results) for key, items in groups.items()]


def _page(key: tuple[float, float, int], items: list[Mapping[str, Any]], results: Mapping[str, Any]) -> Page:
    size, batch, steps = key
    notes = Notes()
    caption = (
        f"Sampling rate {batch / size:.4g} (expected batch {count(batch)} of {count(size)} examples), {steps} steps; "
        f"{PRIVACY_UNIT}. Step: one release of one number; run: all steps. Claimed: as published. Verified: a proven "
        "interval for the whole gradient; its lower end holds for gradients of at least "
        f"{count(lower_end_coordinates(items))} coordinates, its upper end for all. Audited: a lower bound from "
        "samples, with its confidence. μ and ρ correspond to the verified upper end."
    )
    rows = [_row(item, results["methods"], notes) for item in items]
    values = [(None, *(item[name] for name in HEADS.values())) for item in items]
    table = Table("", ("mechanism", *HEADS), rows, values)
    return Page(f"{steps} steps at rate {batch / size:.4g}", caption, [table], notes)


def _row(item: Mapping[str, Any], methods: Mapping[str, Any], notes: Notes) -> tuple[str, ...]:
    other = item["reason"] or "has no finite value"

    def shown(name: str, reason: str | None) -> str:
        return number(item[name]) if item[name] is not None else f"{NOTHING} {notes.mark(reason or other)}"

    def verified(where: str = "") -> str:
        upper = item[f"verified_upper{where}"]
        text = interval(item[f"verified_lower{where}"], upper)
        return text if upper is not None else f"{text} {notes.mark(item['verified_reason'] or other)}"

    title, special = methods[item["method"]]["title"], Releases.from_dict(item.get("releases")).told
    title = f"{title} {notes.mark(special)}" if special else title
    return (
        f"{title}, {item['setting']}" if item["setting"] else title,
        f"{item['epsilon']:g} {item['calibration']}",
        f"{item['delta']:g}",
        shown("claimed_step", item["claimed_reason"]) + _outside(item, notes),
        shown("claimed_run", item["claimed_reason"]),
        shown("pure_scalar_step", item["pure_scalar_reason"]),
        shown("paper_bound_step", item["paper_bound_reason"]),
        shown("paper_bound_run", item["paper_bound_reason"]),
        verified(),
        _audited(item, notes),
        shown("mu", item["verified_reason"]),
        shown("zcdp", item["verified_reason"]),
        verified("_at_1e-5"),
        shown("noise_multiplier", item["noise_reason"]),
        shown("sigma_effective", item["verified_reason"]),
        shown("efficiency", item["noise_reason"]),
    )


def _outside(item: Mapping[str, Any], notes: Notes) -> str:
    if item["claimed_order_in_domain"] is not False or item["claimed_order"] is None:
        return ""
    return " " + notes.mark("the published minimum is at an order where the moment is infinite")


def _audited(item: Mapping[str, Any], notes: Notes) -> str:
    if item["audited_lower"] is None:
        return f"{NOTHING} {notes.mark(item['audited_reason'] or 'the audit gives no bound')}"
    return f"≥ {number(item['audited_lower'], 3)} at {100 * item['audited_confidence']:g} %"


def privacy_frame(results: Mapping[str, Any]) -> pd.DataFrame:
    """Return the privacy table as numbers."""
    rows = [{"mechanism": name, **item} for name, item in results["mechanisms"].items()]
    return pd.DataFrame(rows).reindex(columns=list(COLUMNS))
