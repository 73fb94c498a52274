"""The search of a feature_search: its parameters, how each search ranks, and how rankings are fused."""
