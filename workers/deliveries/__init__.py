"""Sending what is due: takes deliveries from Redis, sends each to its channel, writes how it went."""
