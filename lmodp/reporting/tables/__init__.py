"""Tables for people, papers and machines."""
