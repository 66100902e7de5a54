"""The Optuna study as the one record of a run, and the workers that share it. No torch."""
