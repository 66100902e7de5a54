"""Kept batches take a share of the free memory and no more."""

import torch

from gamsearch.training import batches


def test_kept_batches_stay_below_their_share_of_memory(monkeypatch):
    """A quarter of 400 bytes: three epochs of 32 bytes are kept, a fourth is not, however much is free then."""
    kept = {}
    monkeypatch.setattr(batches, "_EPOCHS", kept)
    epoch = [({"img": torch.zeros(16, dtype=torch.uint8), "im_file": ["a.jpg"]}, None)] * 2
    for number in range(3):
        monkeypatch.setattr(batches, "free_memory", lambda used=32 * number: 400 - used)
        assert batches.fits(32)
        kept[number] = epoch
    monkeypatch.setattr(batches, "free_memory", lambda: 400 - 96)
    assert not batches.fits(32)


def test_the_limit_of_a_control_group_counts_where_it_is_below_the_machines_memory(monkeypatch, tmp_path):
    limit, used = tmp_path / "max", tmp_path / "current"
    monkeypatch.setattr(batches, "CONTROL_GROUPS", {limit: used, tmp_path / "none": used})
    whole = batches.free_memory()
    limit.write_text("1000\n")
    used.write_text("400\n")
    assert batches.free_memory() == 600 < whole
    limit.write_text("max\n")
    assert batches.free_memory() > 2**20
