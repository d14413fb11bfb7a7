# Refrain on a processor: torch's CPU build, the shipped checkpoints inside, no root.
#   docker build --tag refrain .
#   docker run -p 8000:8000 refrain
FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv /opt/refrain
RUN pip install --no-cache-dir uv
COPY constraints.txt pyproject.toml setup.py refrain_client.py README.md LICENSE ./
COPY refrain refrain
COPY models models
COPY inference inference
COPY training training
COPY app app
COPY client client
COPY cli cli
COPY checkpoints checkpoints
# uv knows where torch's CPU builds are; the default ones bring gigabytes of CUDA.
RUN uv pip install --no-cache --python /opt/refrain/bin/python --torch-backend cpu \
    --constraint constraints.txt .

FROM python:3.11-slim
RUN useradd --create-home --uid 1000 refrain
COPY --from=build /opt/refrain /opt/refrain
WORKDIR /srv/refrain
COPY recipes recipes
USER refrain
ENV PATH=/opt/refrain/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    REFRAIN_HOST=0.0.0.0 \
    REFRAIN_PORT=8000
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['REFRAIN_PORT']}/health/ready\", timeout=2)"]
CMD ["refrain", "serve"]
