"""Models: where they come from, how they are loaded and which part is trained."""
