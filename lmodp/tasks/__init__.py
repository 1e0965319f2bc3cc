"""Tasks: the examples and loss of a run, and how a trained model is scored."""
