"""What all modules of the zoo are. Needs torch only."""

from inspect import signature
from typing import Any

from torch import Tensor, nn

from gamsearch.attention.legality import RowError, check_width


class Attention(nn.Module):
    """An attention module for maps of one width; subclasses state the width and compute in `attend`."""

    channels: int

    def __new__(cls, *row: Any, **options: Any) -> "Attention":
        """Refuse a row that is too long before Python does, in words of the row."""
        names = list(signature(cls.__init__).parameters)[1:]
        if len(row) > len(names):
            raise RowError(f"a row of {cls.__name__} is at most [{', '.join(['c2', *names[1:]])}], not {list(row)}")
        return super().__new__(cls)

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
