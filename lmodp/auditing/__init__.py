"""Lower bounds from samples, and the conformance of a run with what was certified."""
