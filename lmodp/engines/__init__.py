"""Other engines, Opacus and private-transformers, behind the interface `lmodp.methods.engine.Engine`."""
