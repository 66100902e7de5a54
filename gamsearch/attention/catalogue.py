"""The catalogue of attention modules. No torch.

The space validates against it, the graft writes rows from it, and `gamsearch.testing` holds the torch classes to it. A
module's arguments in a YAML row are its channels, then its options in the order given here.
"""

from gamsearch.attention.entries import channel, context, gam, spatial
from gamsearch.attention.spec import AttentionSpec
from gamsearch.errors import SpaceError
from gamsearch.plugins.registry import Registry

CATALOGUE: Registry[AttentionSpec] = Registry("attention module", SpaceError)


def spec_named(name: str) -> AttentionSpec:
    """Look up an attention module.

    Args:
        name: Its name in the catalogue.

    Returns:
        Its specification.

    Raises:
        SpaceError: There is no such module; the message names those there are.
    """
    return CATALOGUE.named(name)


for _spec in (*gam.SPECS, *channel.SPECS, *spatial.SPECS, *context.SPECS):
    CATALOGUE.add(_spec.name, _spec, _spec.code)
