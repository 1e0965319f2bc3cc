"""The report page, the answer in three sentences and the block of the README."""
