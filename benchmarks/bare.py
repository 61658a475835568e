"""What is written in an hour instead of a gateway: FastAPI before an RQ queue, with nothing checked but the types.

`python -m benchmarks.bare DESCRIPTOR REDIS_URL` serves it, with the server of `guidepost serve`, on a socket that
listens already.
"""

from __future__ import annotations

import socket
import sys
from typing import Any

import redis
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from service.server import config


class Body(BaseModel):
    prompt: str
    seed: int | None = None
    model: str | None = None
    sampler: dict[str, Any] = {}
    guidance: dict[str, Any] = {}


def create_app(url: str) -> FastAPI:
    """The app over the Redis at `url`."""
    connection = redis.Redis.from_url(url)
    queue = Queue("bare", connection=connection, serializer=JSONSerializer)
    app = FastAPI()

    @app.post("/v1/generations", status_code=202)
    def create(body: Body) -> dict[str, str]:
        return {"id": queue.enqueue("tasks.generate", body.model_dump()).id, "status": "queued"}

    @app.get("/v1/generations/{id}")
    def get(id: str) -> dict[str, str]:
        return {"id": id, "status": Job.fetch(id, connection=connection, serializer=JSONSerializer).get_status()}

    return app


if __name__ == "__main__":
    listener = socket.socket(fileno=int(sys.argv[1]))
    uvicorn.Server(config(create_app(sys.argv[2]))).run(sockets=[listener])
