# syntax=docker/dockerfile:1
# The images of the three services and of the operators' command, a target for each:
#   docker build --target messaging --tag carepost/messaging .
# Each is a static binary and the authorities of Debian, and nothing else: no shell, no package manager, nothing to write.

ARG RUST_IMAGE=docker.io/library/rust:1.95.0-slim-bookworm

# Only what the dependencies depend on: manifests, and sources without their contents.
FROM ${RUST_IMAGE} AS manifests
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY shared shared
COPY services services
COPY cli cli
COPY tests tests
RUN find . -type f ! -name '*.rs' ! -name Cargo.toml ! -name Cargo.lock -delete \
    && find . -name '*.rs' -exec sh -c 'echo "//! Not copied yet." > "$1"; case "$1" in */main.rs|*/bin/*.rs|*/build.rs) echo "fn main() { }" >> "$1";; esac' _ {} \;

FROM ${RUST_IMAGE} AS build
# The profile of cargo: release, or dev for a build that is done sooner.
ARG PROFILE=release
ARG SERVICES="--package carepost-messaging --package carepost-eligibility --package carepost-notification --package carepost"
ENV CARGO_PROFILE_RELEASE_DEBUG=false \
    CARGO_PROFILE_DEV_DEBUG=false \
    RUSTFLAGS="-C target-feature=+crt-static"
WORKDIR /src
# The layer of the dependencies: made anew only when a manifest or the set of source files changes.
COPY --from=manifests /src ./
RUN cargo build --locked --profile "$PROFILE" --bins ${SERVICES} --target "$(rustc -vV | sed -n 's/^host: //p')"
COPY proto proto
COPY shared shared
COPY services services
COPY cli cli
COPY tests/data tests/data
# Copied files are as old as they were outside: cargo would take the empty ones, built a moment ago, for newer.
RUN find shared services cli proto -type f -exec touch {} + \
    && cargo build --locked --profile "$PROFILE" --bins ${SERVICES} --target "$(rustc -vV | sed -n 's/^host: //p')" \
    && mkdir -p /out \
    && find target/*-linux-gnu/*/ -maxdepth 1 -type f -perm -u+x \( -name 'carepost-*' -o -name carepost \) -exec cp {} /out/ \; \
    && if [ -e /etc/ssl/certs/ca-certificates.crt ]; then cp /etc/ssl/certs/ca-certificates.crt /out/; \
       else apt-get update && apt-get install --yes --no-install-recommends ca-certificates \
            && cp /etc/ssl/certs/ca-certificates.crt /out/; fi

FROM scratch AS service
COPY --from=build /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.vendor="Carepost" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
USER 65532:65532
CMD ["serve"]

FROM service AS eligibility
LABEL org.opencontainers.image.title="carepost-eligibility" \
      org.opencontainers.image.description="Carepost: the directory, the settings and who may write to whom"
COPY --from=build /out/carepost-eligibility /carepost-eligibility
EXPOSE 7601
ENTRYPOINT ["/carepost-eligibility"]

FROM service AS messaging
LABEL org.opencontainers.image.title="carepost-messaging" \
      org.opencontainers.image.description="Carepost: conversations and mailboxes"
COPY --from=build /out/carepost-messaging /carepost-messaging
EXPOSE 7602
ENTRYPOINT ["/carepost-messaging"]

FROM service AS notification
LABEL org.opencontainers.image.title="carepost-notification" \
      org.opencontainers.image.description="Carepost: emails"
COPY --from=build /out/carepost-notification /carepost-notification
EXPOSE 7603
ENTRYPOINT ["/carepost-notification"]

# The operators' command: to verify and export audit trails, and whatever else `carepost --help` tells.
FROM service AS carepost
LABEL org.opencontainers.image.title="carepost" \
      org.opencontainers.image.description="Carepost: the operators' command"
COPY --from=build /out/carepost /carepost
ENTRYPOINT ["/carepost"]
CMD ["--help"]
