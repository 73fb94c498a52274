"""Requests to addresses that users name: to public ones only, each within a time for all of it."""
