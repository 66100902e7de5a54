"""A detector with its weights: loaded, inherited, exported and timed. This is where torch begins."""
