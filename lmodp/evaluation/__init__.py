"""Scores of classification and of generated text."""
