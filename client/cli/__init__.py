"""The commands of `kennel` that talk to a server over HTTP, one file for each group."""
