# The environment of requirements.lock, and the suite. Not tried: no Docker engine runs where this file was written.
# Build:  docker build --tag lmodp .
# Run:    docker run --rm --volume "$PWD/results:/suite/results" lmodp
FROM python:3.11-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends make git default-jre-headless \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /suite
COPY . .
RUN make setup PYTHON=python3
CMD ["make", "reproduce"]
