"""The attention modules besides GAM, one file each. Rows and checkpoints hold their paths, so none ever moves."""
