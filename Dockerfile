# The serving image, GPU by default, a CPU image with --build-arg RUNTIME=cpu; and the image of the
# retrain watcher, which fits and so has torch.
#
#   docker build -t rcmvae .
#   docker build -t rcmvae:cpu --build-arg RUNTIME=cpu .
#   docker build -t rcmvae-training --target training .
#   docker run --gpus all -e RCMVAE_REQUIRE_CUDA=true -e RCMVAE_KEYS_FILE=/app/var/keys.json -p 3000:3000 -v "$PWD/models:/app/models:ro" -v rcmvae-var:/app/var rcmvae
#
# On 0.0.0.0 the server wants keys: docs/security.md.
#
# Why a slim Python base and not a CUDA one: the lock of the GPU runtime holds CUDA 13 and cuDNN 9 as
# packages of exact version (onnxruntime-gpu[cuda,cudnn]), so a CUDA base would carry all of it twice
# and out of step. The driver's own library comes from the host through NVIDIA's container toolkit.
# No torch in it: serving runs ONNX graphs.
#
# scripts/replay_image.py runs these steps without a container engine; what it knows of the format is
# what is used here.

ARG PYTHON=3.11.14-slim-bookworm

FROM python:${PYTHON} AS dependencies
ARG RUNTIME=gpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
COPY requirements/serve-${RUNTIME}.lock /tmp/serve.lock
# Wheels only: nothing is compiled, so the image needs no compiler.
RUN /opt/venv/bin/pip install --require-hashes --only-binary=:all: -r /tmp/serve.lock

FROM python:${PYTHON} AS training-dependencies
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
COPY requirements/train.lock requirements/torch.txt /tmp/
RUN /opt/venv/bin/pip install --require-hashes --only-binary=:all: -r /tmp/train.lock
# From wherever pip is told to look: PyPI has the CUDA build, PyTorch's own index one for CPUs only
# (--build-arg PIP_INDEX_URL=...).
ARG PIP_INDEX_URL
RUN /opt/venv/bin/pip install --only-binary=:all: -r /tmp/torch.txt

FROM python:${PYTHON} AS base
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin rcmvae \
    && mkdir -p /app/models /app/var \
    && chown rcmvae /app/models /app/var
WORKDIR /app
COPY rcmvae ./rcmvae
COPY LICENSE ./LICENSE
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001
VOLUME ["/app/models", "/app/var"]

FROM base AS training
COPY --from=training-dependencies /opt/venv /opt/venv
COPY training ./training
# A report draws; it wants a folder of its own to write to.
ENV MPLCONFIGDIR=/tmp/matplotlib
# Models and store by RCMVAE_MODELS_DIR and RCMVAE_STORE_URL, as for the service.
CMD ["python", "-m", "training", "retrain", "--watch"]

FROM base AS serve
COPY --from=dependencies /opt/venv /opt/venv
COPY service ./service
# BENTOML_CONTAINERIZED stays unset: with it BentoML does not start a killed worker again.
ENV BENTOML_HOME=/app/var/bentoml \
    BENTOML_DO_NOT_TRACK=True
EXPOSE 3000
# Ready means that a verified bundle is loaded and warm, not only that the process lives.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:3000/readyz', timeout=4)"]
CMD ["bentoml", "serve", "service.app:RcmVae", "--host", "0.0.0.0", "--port", "3000", "--timeout-graceful-shutdown", "30"]
