"""Methods: each file is one row of the tables. README.md in this folder is the contract."""
