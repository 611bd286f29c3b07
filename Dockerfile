# docker build -t pleiad .
# docker run --rm -v "$PWD:/data" -u "$(id -u):$(id -g)" pleiad count /data/stars.parquet

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo install --locked --path . --root /out

# glibc, the certificates of the usual authorities and a user who is not root; no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/bin/pleiad /usr/local/bin/pleiad
WORKDIR /data
ENTRYPOINT ["/usr/local/bin/pleiad"]
