"""What is told to the outside: events, on their way to channels, until they are delivered or given up.

An event has a stable id, a type and a JSON payload. A channel is a webhook URL, a Slack webhook or a list of
mail addresses. One event on its way to one channel is a delivery: a durable record in Redis
(shared/lua/deliveries.lua). Webhooks are the first owner of channels.
"""
