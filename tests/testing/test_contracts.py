"""Everything that gamsearch ships fulfils its contract; the same checks are shipped for the authors of plug-ins."""

import pytest

from gamsearch.errors import GamsearchError
from gamsearch.testing import KINDS, checks
from gamsearch.testing.suite import registry_of

SHIPPED = [check for kind in KINDS for name in registry_of(kind) for check in checks(kind, name)]


@pytest.mark.parametrize("check", SHIPPED, ids=str)
def test_what_is_shipped_fulfils_its_contract(check):
    check()


@pytest.mark.parametrize("kind", KINDS)
def test_every_entry_has_checks_and_a_wrong_name_is_refused(kind):
    assert all(checks(kind, name) for name in registry_of(kind))
    with pytest.raises(GamsearchError, match="there is no"):
        checks(kind, "nothing")
