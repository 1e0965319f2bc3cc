"""A desk for claims: a published epsilon as a file, checked by two routes, with a verdict and its evidence."""
