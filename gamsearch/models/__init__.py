"""A detector built, registered with Ultralytics, loaded and timed. This is where torch begins."""
