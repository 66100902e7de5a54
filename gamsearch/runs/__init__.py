"""One run in its folder: settings, preparation, the leading process, its workers, verification and export."""
