"""Contract checks: what an attention module, a metric, a sampler, a rule, a tracker or another entry must do.

gamsearch runs them over everything that it ships. The author of a plug-in runs them over theirs:

    import pytest
    from gamsearch.testing import checks

    import my_plugin  # registers the attention module MyGate

    @pytest.mark.parametrize("check", checks("attention", "MyGate"), ids=str)
    def test_my_gate(check):
        check()
"""

from gamsearch.testing.suite import KINDS, Check, checks

__all__ = ["KINDS", "Check", "checks"]
