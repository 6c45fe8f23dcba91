# What installs, what runs, and what a developer has. Of the first only the virtual environment is in the second.
FROM python:3.11-slim-bookworm AS installed
COPY requirements.txt /build/requirements.txt
RUN python -m venv /opt/venv \
 && /opt/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes \
        -r /build/requirements.txt

FROM installed AS development
COPY requirements-dev.txt /build/requirements-dev.txt
RUN /opt/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes \
        -r /build/requirements-dev.txt \
 && useradd --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin bot \
 && install -d -o bot -g bot -m 0700 /data
WORKDIR /app
USER 10001
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DATA_DIR=/data
VOLUME /data
ENTRYPOINT ["python", "main.py"]
CMD ["run"]

FROM python:3.11-slim-bookworm AS production
LABEL org.opencontainers.image.title="token-filter-bot"
RUN useradd --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin bot \
 && install -d -o bot -g bot -m 0700 /data
COPY --from=installed /opt/venv /opt/venv
COPY . /app
# The root is read-only where it runs, so what Python would write beside the code is written here.
RUN /opt/venv/bin/python -m compileall -q /app
WORKDIR /app
USER 10001
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 DATA_DIR=/data HTTP_HOST=0.0.0.0
EXPOSE 8080
VOLUME /data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "deploy/healthy.py", "http://127.0.0.1:8080/healthz"]
ENTRYPOINT ["python", "main.py"]
CMD ["run"]
