"""`python -m cli` is `guidepost`, for children that must run under the same interpreter."""

from cli.main import app

app(prog_name="guidepost")
