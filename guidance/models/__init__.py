"""Model adapters: one interface over networks of different families. Imports torch."""
