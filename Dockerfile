# syntax=docker/dockerfile:1
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /app
COPY requirements.txt ./
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --disable-pip-version-check -r requirements.txt
COPY . .
RUN /venv/bin/python -m compileall -q /app

FROM python:3.11.14-slim-bookworm
# For `manage.py backup` and `restore`: of the database server's version, or newer.
RUN apt-get update \
    && apt-get install --no-install-recommends -y postgresql-client-15=15.* \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data synqmgr \
    && install -d -m 700 -o synqmgr -g synqmgr /data
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    PORT=8000 \
    SYNQMGR_DATA=/data \
    SYNQMGR_PRODUCTION=true
# The one folder that is written: counts of requests and metrics, and the database if it is SQLite.
VOLUME /data
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['PORT']}/readyz\", timeout=4)"]
ENTRYPOINT ["python", "manage.py"]
CMD ["serve"]
