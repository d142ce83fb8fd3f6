# The serving image. GPU by default; a CPU image with --build-arg RUNTIME=cpu.
#
#   docker build -t rcmvae .
#   docker build -t rcmvae:cpu --build-arg RUNTIME=cpu .
#   docker run --gpus all -e RCMVAE_REQUIRE_CUDA=true -e RCMVAE_KEYS_FILE=/app/var/keys.json -p 3000:3000 -v "$PWD/models:/app/models:ro" -v rcmvae-var:/app/var rcmvae
#
# On 0.0.0.0 the server wants keys: docs/security.md.
#
# Why a slim Python base and not a CUDA one: the lock of the GPU runtime holds CUDA 13 and cuDNN 9 as
# packages of exact version (onnxruntime-gpu[cuda,cudnn]), so a CUDA base would carry all of it twice
# and out of step. The driver's own library comes from the host through NVIDIA's container toolkit.
# No torch: serving runs ONNX graphs.

ARG PYTHON=3.11.14-slim-bookworm

FROM python:${PYTHON} AS dependencies
ARG RUNTIME=gpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
COPY requirements/serve-${RUNTIME}.lock /tmp/serve.lock
# Wheels only: nothing is compiled, so the image needs no compiler.
RUN /opt/venv/bin/pip install --require-hashes --only-binary=:all: -r /tmp/serve.lock

FROM python:${PYTHON} AS serve
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin rcmvae \
    && mkdir -p /app/models /app/var \
    && chown rcmvae /app/models /app/var
WORKDIR /app
COPY --from=dependencies /opt/venv /opt/venv
COPY rcmvae ./rcmvae
COPY service ./service
COPY LICENSE ./LICENSE

# BENTOML_CONTAINERIZED stays unset: with it BentoML does not start a killed worker again.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    BENTOML_HOME=/app/var/bentoml \
    BENTOML_DO_NOT_TRACK=True \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

USER 10001
VOLUME ["/app/models", "/app/var"]
EXPOSE 3000
# Ready means that a verified bundle is loaded and warm, not only that the process lives.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:3000/readyz', timeout=4)"]
CMD ["bentoml", "serve", "service.app:RcmVae", "--host", "0.0.0.0", "--port", "3000", "--timeout-graceful-shutdown", "30"]
