"""What all modules of the zoo are. Needs torch only."""

from torch import Tensor, nn

from gamsearch.attention.legality import check_width


class Attention(nn.Module):
    """An attention module for maps of one width; subclasses state the width and compute in `attend`."""

    channels: int

    def forward(self, x: Tensor) -> Tensor:
        """Attend to a map.

        Args:
            x: `B x C x H x W`.

        Returns:
            The attended map, in the shape and type of `x`.

        Raises:
            RowError: The map has another width than the row says.
        """
        check_width(type(self).__name__, self.channels, x.shape[1])
        return self.attend(x)

    def attend(self, x: Tensor) -> Tensor:
        """Compute the module on a map `B x C x H x W` of the right width; returns the same shape and type."""
        raise NotImplementedError
