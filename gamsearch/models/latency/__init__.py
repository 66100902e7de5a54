"""Latency: measured in pairs with the baseline, and predicted from one measured increment per placement."""
