"""What guidance does to points of the plane, where the score is exact."""
