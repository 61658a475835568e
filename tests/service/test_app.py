"""The app as a whole."""

from __future__ import annotations

import subprocess
import sys

from fastapi import FastAPI
from starlette.testclient import TestClient

from jobs.settings import Settings
from service.app import create_app

HEAVY = {"torch", "diffusers", "transformers", "matplotlib", "workers"}


def test_the_gateway_imports_nothing_heavy() -> None:
    code = f"import service.app, sys; assert not {HEAVY} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_making_an_app_touches_nothing(settings: Settings) -> None:
    create_app(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    assert list(settings.data_dir.iterdir()) == []


def test_the_docs_are_served(client: TestClient, app: FastAPI) -> None:
    assert "swagger" in client.get("/docs").text
