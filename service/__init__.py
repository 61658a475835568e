"""The gateway: HTTP in, the queue and the records behind it. Never imports torch."""
