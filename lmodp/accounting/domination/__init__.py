"""One step dominated by one Gaussian release: the Fisher information Gamma that it needs, for every direction."""
