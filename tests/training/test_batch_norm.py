"""Re-estimated batch-norm statistics are averages over batches."""

import torch
from torch import nn

from gamsearch.training.batch_norm import reestimate_statistics


def test_statistics_are_the_averages_over_the_batches_and_nothing_else_changes():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, momentum=0.03)).eval()
    batches = [torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    weights = [p.clone() for p in model.parameters()]
    reestimate_statistics(model, iter(batches))
    means = torch.stack([model[0](b).mean((0, 2, 3)) for b in batches]).mean(0)
    variances = torch.stack([model[0](b).var((0, 2, 3)) for b in batches]).mean(0)
    assert torch.allclose(model[1].running_mean, means, atol=1e-6)
    assert torch.allclose(model[1].running_var, variances, atol=1e-6)
    assert model[1].momentum == 0.03 and not model.training
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))
