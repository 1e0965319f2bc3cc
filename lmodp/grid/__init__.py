"""A grid: its configuration, and the cells that follow from it."""
