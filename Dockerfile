# The gateway's image holds no torch; the worker's holds it for the CPU, or from PyPI with CUDA:
#   docker build --target gateway -t guidepost-gateway:0.1.0 .
#   docker build --target worker -t guidepost-worker:0.1.0 .
#   docker build --target worker --build-arg TORCH_INDEX=https://pypi.org/simple -t guidepost-worker-cuda:0.1.0 .
# Libraries come before sources, the large and seldom changed first: who edits a source reinstalls nothing.
FROM python:3.11.14-slim-bookworm AS libraries
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    PYTHONUNBUFFERED=1 MPLCONFIGDIR=/tmp/matplotlib GUIDEPOST_DATA_DIR=/data
RUN useradd --create-home --uid 1000 guidepost && install -d -o guidepost -g guidepost /data
WORKDIR /app
COPY pyproject.toml requirements.lock ./
# What the project requires, by way of a project of this name that is empty yet.
RUN touch README.md LICENSE && pip install -c requirements.lock setuptools && \
    pip install -c requirements.lock --no-build-isolation ".[tracing]"

FROM libraries AS gateway
COPY LICENSE ./
COPY cli cli
COPY guidance guidance
COPY jobs jobs
COPY service service
RUN pip install --no-deps --no-build-isolation -e . && python -m compileall -q .
USER 1000:1000
ENV GUIDEPOST_HOST=0.0.0.0 GUIDEPOST_PORT=8000
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD \
    ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/livez', timeout=2)"]
CMD ["guidepost", "serve"]

FROM libraries AS worker
# Of this index torch alone. What it requires comes from PyPI: the lock's pins, and CUDA's libraries as torch names them.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install -c requirements.lock --no-deps --index-url ${TORCH_INDEX} torch && \
    pip install -c requirements.lock --no-build-isolation ".[tracing,worker]"
COPY LICENSE ./
COPY models models
COPY cli cli
COPY guidance guidance
COPY jobs jobs
COPY workers workers
RUN pip install --no-deps --no-build-isolation -e . && python -m compileall -q .
USER 1000:1000
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s CMD ["guidepost", "worker", "--check"]
CMD ["guidepost", "worker"]
