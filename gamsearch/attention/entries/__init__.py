"""The catalogue entries of the modules that gamsearch ships. No torch."""
