# syntax=docker/dockerfile:1
# The operator's image. `docker build --tag kastellan .`; other architectures by buildx.

FROM docker.io/library/rust:1.95.0-trixie AS build
WORKDIR /src
# The image brings the toolchain that rust-toolchain.toml pins; its extra components are not needed here.
ENV RUSTUP_TOOLCHAIN=1.95.0
# Packed relocations: 0.8 MiB less to hold. They need glibc 2.36, which not everybody who builds this has.
ENV RUSTFLAGS="-C link-arg=-Wl,-z,pack-relative-relocs"
COPY . .
ARG TARGETARCH
# Memory pages have 64 KiB on some arm64 kernels, and the allocator has to know when it is built.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    if [ "$TARGETARCH" = arm64 ]; then export JEMALLOC_SYS_WITH_LG_PAGE=16; fi \
    && cargo build --locked --release --package kastellan --bin kastellan \
    && cp target/release/kastellan /kastellan

# glibc, CA certificates, no shell; runs as user 65532. The Debian release is the one above: glibc must not be older.
FROM gcr.io/distroless/cc-debian13:nonroot
LABEL org.opencontainers.image.source="https://github.com/kastellan-dev/kastellan" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /kastellan /usr/local/bin/kastellan
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/kastellan"]
CMD ["operator"]
