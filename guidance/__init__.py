"""Guidance methods for diffusion models: the mathematics of Guidepost, usable without the service."""
