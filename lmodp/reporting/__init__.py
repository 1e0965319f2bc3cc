"""From records to one table of results, and from it to tables, figures and the report."""
