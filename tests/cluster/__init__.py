"""A grid on a real SLURM, which is installed and started on this machine for it."""
