# One image for every process: `docker build --build-arg PYTHON_DIGEST=sha256:... .`
ARG PYTHON=python:3.13-slim-bookworm
# Which build of that image; without it nothing is built, so that nobody builds on something else unawares.
ARG PYTHON_DIGEST

FROM ${PYTHON}@${PYTHON_DIGEST} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /src
COPY requirements.txt ./
RUN ["python", "-m", "venv", "/opt/costhook"]
RUN ["/opt/costhook/bin/pip", "install", "--require-hashes", "--requirement", "requirements.txt"]
COPY LICENSE README.md pyproject.toml costhook.py ./
COPY api ./api
COPY ledger ./ledger
COPY migrations ./migrations
COPY reconciler ./reconciler
RUN ["/opt/costhook/bin/pip", "install", "--no-deps", "--no-build-isolation", "."]
RUN ["/opt/costhook/bin/python", "-m", "compileall", "-q", "/opt/costhook/lib"]

FROM ${PYTHON}@${PYTHON_DIGEST}
LABEL org.opencontainers.image.title="Costhook" org.opencontainers.image.licenses="Apache-2.0"
# The embedded Postgres looks its user up by name.
RUN ["useradd", "--uid", "65532", "--user-group", "--no-create-home", "--home-dir", "/tmp", "costhook"]
COPY --from=build /opt/costhook /opt/costhook
ENV PATH=/opt/costhook/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 COSTHOOK_STATE=/var/lib/costhook/state
RUN ["install", "--directory", "--owner=65532", "--group=65532", "/var/lib/costhook"]
VOLUME /var/lib/costhook
USER 65532:65532
WORKDIR /var/lib/costhook
ENTRYPOINT ["costhook"]
