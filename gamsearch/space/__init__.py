"""What may be searched: a detector, its layers, where attention may go, and the space file that says so. No torch."""
