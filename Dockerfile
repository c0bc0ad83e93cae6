# One image for every role: doorway, gateway, guard, trust, doctor. Plain `docker build` makes it.
#
# Its inputs are this folder and Debian's packages. To pin all of them:
#   docker build --build-arg BASE=debian:bookworm-slim@sha256:... --build-arg SNAPSHOT=yes .
# takes the packages from the archive's snapshot that the base image itself was made from.
ARG BASE=debian:bookworm-slim
FROM $BASE AS build
ARG SNAPSHOT=
RUN test -z "$SNAPSHOT" || { sed -i -e '/^URIs:/d' -e 's/^# http/URIs: http/' /etc/apt/sources.list.d/debian.sources \
    && echo 'Acquire::Check-Valid-Until "false";' >/etc/apt/apt.conf.d/snapshot; }
WORKDIR /src
COPY scripts/setup scripts/
RUN scripts/setup
COPY . .
RUN scripts/build -DSALLYPORT_TESTS=OFF -DSALLYPORT_STATIC=ON && strip build/sallyport
# The image's root: the program, the C library, certificates, a user, and the places where volumes are mounted.
# Debian has no static libmnl: the program finds that one beside itself, so that /usr/local can be copied into any other
# image that has a C library.
WORKDIR /root/image
RUN mkdir -p usr/local/bin usr/local/lib/sallyport usr/lib/ssl usr/share/doc/sallyport etc/ssl/certs etc/sallyport tmp run/sallyport/doorway run/sallyport/trust \
      var/lib/sallyport var/log/sallyport \
    && cp /src/build/sallyport usr/local/bin/ && cp /src/LICENSE usr/share/doc/sallyport/ \
    && cp -L "$(ldd usr/local/bin/sallyport | awk '/libmnl/ { print $3 }')" usr/local/lib/sallyport/ \
    && ldd usr/local/bin/sallyport | grep -o '/[^ ]*' | grep -v libmnl | xargs cp -L --parents -t . \
    && cp /etc/ssl/certs/ca-certificates.crt etc/ssl/certs/ && ln -s /etc/ssl/certs/ca-certificates.crt usr/lib/ssl/cert.pem \
    && echo 'root:x:0:0::/:/nonexistent\nsallyport:x:65532:65532::/var/lib/sallyport:/nonexistent' >etc/passwd \
    && echo 'root:x:0:\nsallyport:x:65532:' >etc/group && chmod 1777 tmp \
    && chown -R 65532:65532 run/sallyport var/lib/sallyport var/log/sallyport \
    && chmod 700 var/lib/sallyport && chmod 770 run/sallyport run/sallyport/doorway var/log/sallyport && chmod 775 run/sallyport/trust

FROM scratch
LABEL org.opencontainers.image.title="Sallyport" \
      org.opencontainers.image.description="The guarded gate of a sandbox: all its egress passes a policy, secrets are put in on the way out" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /root/image /
USER 65532:65532
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/sallyport", "health"]
ENTRYPOINT ["/usr/local/bin/sallyport"]
CMD ["gateway", "--policy", "/etc/sallyport/policy.toml"]
