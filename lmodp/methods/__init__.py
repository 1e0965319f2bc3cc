"""Methods: what a method must say, and how the suite finds it."""
