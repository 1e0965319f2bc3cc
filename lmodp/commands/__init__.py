"""One module per command, with `configure(parser)` and `run(arguments)`."""
