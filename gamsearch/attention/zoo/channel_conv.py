"""The convolution along the channels that ECA and MLCA share. Needs torch only."""

from torch import nn

from gamsearch.attention.channel_legality import eca_kernel


def channel_conv(channels: int, kernel: int = 0) -> nn.Conv1d:
    """Build a convolution of one sequence to one of the same length, without a bias.

    Args:
        channels: C, from which the paper of ECA derives the kernel.
        kernel: The side of the kernel; 0 stands for the derived one.

    Returns:
        The convolution.
    """
    kernel = kernel or eca_kernel(channels)
    return nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)
