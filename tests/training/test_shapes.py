"""Signed distances against closed forms."""

import math

import pytest
import torch

from training.shapes import POLYGONS, SHAPES, distance, polygon, shoelace, unit_area

STEP = 1 / 8


def plane() -> tuple[torch.Tensor, torch.Tensor]:
    axis = torch.arange(-32 + STEP / 2, 32, STEP)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return x, y


def covered(shape: str, radius: float) -> torch.Tensor:
    """The share of each cell that lies inside: whole cells alone would round an edge to the grid."""
    return (0.5 - distance(shape, *plane(), torch.tensor(radius)) / STEP).clamp(0, 1).double()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("radius", [9.5, 12.0, 20.0])
def test_the_area_of_the_inside_is_the_closed_form(shape: str, radius: float) -> None:
    assert float(covered(shape, radius).sum()) * STEP**2 == pytest.approx(unit_area(shape) * radius**2, rel=1e-2)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_centroid_is_the_origin(shape: str) -> None:
    inside = covered(shape, 18.0)
    for axis in plane():
        assert abs(float((axis * inside).sum() / inside.sum())) < 0.02


@pytest.mark.parametrize("shape", SHAPES)
def test_a_signed_distance_changes_no_faster_than_the_place(shape: str) -> None:
    d = distance(shape, *plane(), torch.tensor(15.0))
    assert float((d[:, 1:] - d[:, :-1]).abs().max()) <= STEP * 1.001
    assert float((d[1:] - d[:-1]).abs().max()) <= STEP * 1.001


def test_a_square_of_side_two_has_known_distances() -> None:
    corners = [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)]
    x, y = torch.tensor([0.0, 3.0, 4.0, 0.5]), torch.tensor([0.0, 0.0, 5.0, 0.25])
    torch.testing.assert_close(polygon(corners, x, y), torch.tensor([-1.0, 2.0, 5.0, -0.5]))


def test_a_star_of_ten_corners_has_the_area_of_ten_triangles() -> None:
    assert shoelace(POLYGONS["star"]) == pytest.approx(5 * 1.25 * 0.58 * math.sin(math.pi / 5))
