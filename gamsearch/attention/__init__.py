"""Attention modules: `catalogue` says what may be asked for (no torch); each module has its own file (torch)."""
