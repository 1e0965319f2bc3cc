"""The table of results, gathered from all records of a grid."""

FORM = 4  # of results.json; raised when tables and page need something that older ones lack
