"""Records: what a stage found, what made it, and whether it may be reused."""
