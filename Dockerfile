# Two images from one file: `docker build --target gateway .` (no torch) and `docker build --target worker .`
FROM python:3.11.14-slim-bookworm AS base
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1 GUIDEPOST_DATA_DIR=/data
RUN useradd --create-home --uid 1000 guidepost && install -d -o guidepost /data
WORKDIR /app
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY cli cli
COPY guidance guidance
COPY jobs jobs
COPY service service
COPY workers workers

FROM base AS gateway
RUN pip install -c requirements.lock -e ".[tracing]"
USER guidepost
ENV GUIDEPOST_HOST=0.0.0.0 GUIDEPOST_PORT=8000
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD \
    ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/livez', timeout=2)"]
CMD ["guidepost", "serve"]

FROM base AS worker
RUN pip install -c requirements.lock -e ".[tracing,worker]"
COPY models models
USER guidepost
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s CMD \
    ["python", "-c", "from jobs.settings import Settings; import redis; redis.Redis.from_url(Settings().redis_url).ping()"]
CMD ["guidepost", "worker"]
