"""Texts as vectors: `models` says cheaply which models there are, `embedder` computes, in workers only."""
