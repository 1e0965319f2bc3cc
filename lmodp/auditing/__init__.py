"""Lower bounds from samples, and the check that a run conforms to its certificate."""
