# Russet in a container.
#
#   docker build -t russet . && docker run -p 6379:6379 -v russet-data:/data russet
#   docker run russet /etc/russet.conf --loglevel verbose

FROM rust:1-slim-bookworm AS builder
# jemalloc and Lua are built from C.
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
RUN cargo build --release --locked --bin russet-server

FROM debian:bookworm-slim
RUN groupadd --system --gid 999 russet \
    && useradd --system --uid 999 --gid russet --no-create-home --shell /usr/sbin/nologin russet \
    && mkdir /data \
    && chown russet:russet /data
COPY --from=builder /build/target/release/russet-server /usr/local/bin/
USER russet
VOLUME /data
WORKDIR /data
EXPOSE 6379
# The server saves and exits; give it time with `docker stop -t`.
STOPSIGNAL SIGTERM
ENTRYPOINT ["russet-server"]
# In here every connection comes from outside, and the port is published or not by whoever runs the container.
CMD ["--protected-mode", "no"]
