"""The table of results, gathered from all records of a grid."""
