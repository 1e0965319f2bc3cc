"""Stages of the workflow: one module per stage, named as the stage."""
