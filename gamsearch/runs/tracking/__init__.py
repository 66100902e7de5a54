"""Experiment trackers: one run for each trial, and one for the answer of the search."""
