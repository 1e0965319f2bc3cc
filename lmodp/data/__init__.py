"""Data sets: where they come from, how they are split, checked and tokenised."""
