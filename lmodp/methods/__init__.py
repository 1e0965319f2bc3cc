"""Methods: what a method must define, and how the suite finds it."""
