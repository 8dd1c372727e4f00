# syntax=docker/dockerfile:1
# The operator's image: one static binary, the CA certificates, and nothing else. `docker build --tag kastellan .` builds it for the
# machine's own architecture; `docker build --target binary --output out .` writes the binary alone; `--build-arg FEATURES=otel` adds
# what exports traces.

FROM docker.io/library/rust:1.95.0-trixie AS build
WORKDIR /src
# The image brings the toolchain that rust-toolchain.toml pins; its extra components are not needed here.
ENV RUSTUP_TOOLCHAIN=1.95.0
COPY . .
ARG SOURCE_DATE_EPOCH=0
ARG FEATURES=
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    scripts/build-release /out/kastellan && scripts/rootfs /out/kastellan /rootfs

FROM scratch AS binary
COPY --from=build /out/kastellan /

# Last, so that it is what is built where no target is named.
FROM scratch
LABEL org.opencontainers.image.source="https://github.com/kastellan-dev/kastellan" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /rootfs /
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/kastellan"]
CMD ["operator"]
