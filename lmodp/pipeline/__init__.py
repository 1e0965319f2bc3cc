"""The wiring of the workflow: where files lie, what needs what, and what each rule calls."""
