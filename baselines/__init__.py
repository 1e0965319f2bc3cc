"""Methods: one file, one row of the tables. The contract is README.md beside this file."""
