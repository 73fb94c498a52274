"""`kennel doctor`: looks for what contradicts the record, on a live installation, and mends it if asked."""
