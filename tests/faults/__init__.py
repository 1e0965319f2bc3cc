"""What becomes of work under kills, damage and odd input: `make test-faults`."""
