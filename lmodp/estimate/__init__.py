"""What a grid would cost: parameters, memory and hours, without weights and without a run."""
