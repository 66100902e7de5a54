"""What Ultralytics' parser makes of a model YAML: our modules known to it, rows checked, built, shapes read."""
