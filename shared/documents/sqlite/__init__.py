"""Documents in SQLite files, one per collection: the engine for one machine."""
