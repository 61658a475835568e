"""Training of the demo model in models/shapes: `python -m training` does everything from nothing."""
