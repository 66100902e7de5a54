"""Training: the data set, the trainer, and the evaluators that the search calls."""
