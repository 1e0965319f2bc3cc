"""The stage map_wins: the noise that few numbers need, from the table that `lmodp.search.few_numbers` writes."""

from typing import Any

from lmodp.search.few_numbers import table


def map_wins(epsilon: float) -> dict[str, Any]:
    """Return the table's rows at ``epsilon``."""
    return {"epsilon": epsilon, "rows": [row for row in table() if row["epsilon"] == epsilon]}
