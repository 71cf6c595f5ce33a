# The registry's server. Pinned by version; where images are mirrored, pin the mirror's digest beside it.
FROM python:3.11.9-slim-bookworm

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

# What is installed has the hash written in constraints.txt, or nothing is.
COPY constraints.txt /app/
RUN python -m pip install --require-hashes --requirement /app/constraints.txt

COPY server /app/server
COPY profiles /app/profiles
COPY mappings /app/mappings
COPY scripts/replica_set scripts/healthy /app/scripts/

# The one folder that is written to, ./data of the settings' defaults: keys, and the file of a sqlite:/// store.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin registry \
 && install -d -o registry -g registry /var/lib/portfolio/data
WORKDIR /var/lib/portfolio
USER 10001:10001
VOLUME /var/lib/portfolio/data

# Nothing else is set here: what an image sets would go before a secret of the same name.
ENV PYTHONPATH=/app PORTFOLIO_HOST=0.0.0.0
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=8s --start-period=60s --retries=3 CMD ["python", "/app/scripts/healthy"]
CMD ["python", "-m", "server", "serve"]
