"""Guidepost against stock diffusers and against its own limits. A figure compares two things measured in one run."""
