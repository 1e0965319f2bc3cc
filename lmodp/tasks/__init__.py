"""Tasks: what a run trains on and how a trained model is scored."""
