"""Alerts, the parts that API and workers share: when a scheduled one is due, and when one counts. Pure."""
