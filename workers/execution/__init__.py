"""One execution from its definition to its result: templates, stages, books, rows."""
