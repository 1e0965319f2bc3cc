"""Engines that are not the suite's own: Opacus and private-transformers behind the seam of `lmodp.methods.engine.Engine`."""
