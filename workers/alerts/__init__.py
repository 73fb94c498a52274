"""Alerts at work: what starts their runs, and what a run means for its alert."""
