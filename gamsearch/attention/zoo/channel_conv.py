"""The convolution along the channels that ECA and MLCA share. Needs torch only."""

from math import log2

from torch import nn


def channel_conv(channels: int, kernel: int = 0) -> nn.Conv1d:
    """Build a convolution of one sequence to one of the same length, without a bias.

    Args:
        channels: C, from which the paper of ECA derives the kernel: the odd number at (log2 C + 1) / 2, rounded up.
        kernel: The side of the kernel; 0 stands for the derived one.

    Returns:
        The convolution.
    """
    middle = int((log2(channels) + 1) / 2)
    kernel = kernel or middle + (middle + 1) % 2
    return nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)
