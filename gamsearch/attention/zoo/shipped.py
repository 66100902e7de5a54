"""What rows made of a block that Ultralytics ships have in common. Needs torch."""

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from gamsearch.attention.folding import fold
from gamsearch.attention.zoo.base import Attention
from gamsearch.attention.zoo.gates import LARGEST, added


class ShippedBlock(Attention):
    """Adds the output of a block of Ultralytics to its input; the last layer of the block is its `cv2`."""

    block: Any

    def attend(self, x: Tensor) -> Tensor:
        branch = self.block(x)
        if branch.dtype == torch.float16:  # Ultralytics' attention can overflow there; it then adds nothing
            branch = torch.nan_to_num(branch, 0.0, LARGEST, -LARGEST)
        return added(x, branch)

    def identity_(self) -> "ShippedBlock":
        """Make the module the exact identity through the last batch norm of the block."""
        last = self.block.cv2.bn if hasattr(self.block.cv2, "bn") else self.block.cv2.conv
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        return self

    def fuse(self) -> "ShippedBlock":
        """Fold the batch norms that Ultralytics has not folded already into the convolutions, in place."""
        for parent in list(self.block.modules()):
            for name, layer in list(parent.named_children()):
                if hasattr(layer, "forward_fuse") and hasattr(layer, "bn"):
                    conv: Any = layer.conv
                    fold(conv, layer.bn)
                    # a `forward` that is replaced, as Ultralytics does it, is no longer pickled safely
                    setattr(parent, name, nn.Sequential(OrderedDict(conv=conv, act=layer.act)))
        return self
