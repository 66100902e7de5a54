"""Statistics: Pareto fronts, intervals, paired tests and the sentences that state their result. No torch, no optuna."""
