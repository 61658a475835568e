"""Guidance measured: sweeps, metrics, claims and pictures."""
