"""The search strategy: which candidate is tried next, and when its training stops."""
