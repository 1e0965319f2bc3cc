"""First answer: the published claims, by the formulas of the public code."""
