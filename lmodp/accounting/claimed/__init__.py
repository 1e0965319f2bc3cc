"""First answer: the claims as published, by the public code's own formulas."""
