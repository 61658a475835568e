"""Pictures of strangers: bounded before they are decoded, and never more than a refusal."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from pydantic import TypeAdapter, ValidationError

from guidance.picture import Picture, broken, data_url, pixels, size
from jobs.provenance import NoProvenance, read
from tests.security.hostile import accepted, halves, many_scans, png, refused, rows

pytestmark = [  # Pillow's, which only warns of some of it
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
]
READ = TypeAdapter(Picture)
PEAK = """\
import json, resource, sys
from pydantic import TypeAdapter, ValidationError
from guidance.picture import Picture, broken, data_url
from jobs.provenance import NoProvenance, read
from tests.security.hostile import accepted, png, refused, rows

check = TypeAdapter(Picture).validate_python
broken(check(data_url(png(2048, 2048, rows(2048, 2048)))))
files = {name: given[:2] for name, given in (refused() | accepted()).items()}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for kind, data in files.values():
    for use in (lambda: broken(check(data_url(data, f"image/{kind}"))), lambda: read(data)):
        try:
            use()
        except (ValidationError, NoProvenance):
            pass
print(json.dumps([len(files), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before]))
"""


HOSTILE, HALVES, ODD = refused(), halves(), accepted()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_picture_is_refused_with_its_reason(name: str) -> None:
    kind, data, reason = HOSTILE[name]
    with pytest.raises(ValidationError, match=f"the picture .*({reason})"):
        READ.validate_python(data_url(data, f"image/{kind}"))


@pytest.mark.parametrize("name", HALVES)
def test_half_a_picture_is_refused_by_its_head_or_by_its_pixels(name: str) -> None:
    kind, data = HALVES[name]
    try:
        url = READ.validate_python(data_url(data, f"image/{kind}"))
    except ValidationError as error:
        assert "can be read" in str(error)
    else:
        assert broken(url) == "the picture is cut short, or broken"


@pytest.mark.parametrize("name", ODD)
def test_an_odd_picture_is_read_as_it_is_stored(name: str) -> None:
    kind, data = ODD[name]
    url = READ.validate_python(data_url(data, f"image/{kind}"))
    assert size(url) == (64, 64)
    assert pixels(url).shape == (1, 3, 64, 64)


@pytest.mark.parametrize("name", [*HOSTILE, *ODD])
def test_inspecting_a_hostile_file_says_that_it_has_no_request(name: str) -> None:
    _, data, *_ = (HOSTILE | ODD)[name]
    with pytest.raises(NoProvenance):
        read(data)


def test_none_of_them_takes_more_memory_than_the_largest_picture_that_is_allowed() -> None:
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True, timeout=120)
    count, grown = json.loads(done.stdout)
    assert count == len(HOSTILE) + len(ODD)
    assert grown * 1024 < 2**26, f"{grown} KiB more than for a picture of 2048 x 2048"


def test_what_encoders_make_is_within_the_bounds() -> None:
    READ.validate_python(data_url(many_scans(64, 20), "image/jpeg"))
    READ.validate_python(data_url(png(2048, 2048, rows(2048, 2048))))
