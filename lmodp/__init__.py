"""lmodp: reproducibility benchmark suite for LMO-DP fine-tuning claims."""

__version__ = "0.2.0"
