"""Many submissions from a file, resumable: what is read, what is remembered, what is written."""
