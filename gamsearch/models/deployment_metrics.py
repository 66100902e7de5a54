"""Metrics of what is deployed: the size of its file and the memory of its activations.

They take a second or two for each candidate, so a space has them only where it asks: `plugins:
gamsearch.models.deployment_metrics`.
"""

import weakref
from collections import Counter
from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gamsearch.metrics import metric
from gamsearch.models.latency.exporting import channels_of, onnx_of

MB = 1e6


@metric("size_mb", unit="MB", direction="minimize", stage="built", title="size")
def size_mb(candidate: Any) -> float:
    """Size of the exported ONNX file: fused, fp32, static shape, without NMS, in millions of bytes."""
    return len(onnx_of(candidate.model, candidate.imgsz)) / MB


@metric("activations_mb", unit="MB", direction="minimize", stage="built", title="activation memory")
def activations_mb(candidate: Any) -> float:
    """Most memory that activations occupy at once in a fused fp32 pass at batch 1, in millions of bytes."""
    fused = deepcopy(candidate.model).float().cpu().eval().fuse(verbose=False)
    image = torch.zeros(1, channels_of(candidate.model), candidate.imgsz, candidate.imgsz)
    with torch.no_grad():
        fused(image)  # what a module computes once and keeps is not counted
        with _Alive([image, *fused.parameters(), *fused.buffers()]) as alive:
            fused(image)
    return alive.most / MB


class _Alive(TorchDispatchMode):
    """Follows the bytes of the tensors that operations return, from when they exist until the last of them is gone.

    Views of `known`, such as weights, are not counted.
    """

    def __init__(self, known: Iterable[torch.Tensor]) -> None:
        super().__init__()
        self.most, self._now = 0, 0
        self._known = {tensor.untyped_storage().data_ptr() for tensor in known}
        self._owners: Counter[int] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(found):
            if isinstance(tensor, torch.Tensor):
                self._add(tensor)
        return found

    def _add(self, tensor: torch.Tensor) -> None:
        """Count a tensor; views and results in place share the memory of another one."""
        place, size = tensor.untyped_storage().data_ptr(), tensor.untyped_storage().nbytes()
        if place in self._known:
            return
        if not self._owners[place]:
            self._now += size
            self.most = max(self.most, self._now)
        self._owners[place] += 1
        weakref.finalize(tensor, self._drop, place, size).atexit = False

    def _drop(self, place: int, size: int) -> None:
        self._owners[place] -= 1
        if not self._owners[place]:
            self._now -= size
