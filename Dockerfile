# One image for controller and runtime: `soapstone-controller`, `soapstone`. test/cluster/image.test.ts runs these steps
# without a registry or a daemon.
FROM node:24-bookworm-slim AS build
WORKDIR /opt/soapstone
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --no-audit --no-fund

FROM node:24-bookworm-slim
WORKDIR /opt/soapstone
COPY --from=build /opt/soapstone ./
COPY soap ./soap
COPY operator ./operator
COPY runtime ./runtime
COPY cli ./cli
RUN printf '#!/bin/sh\nexec node /opt/soapstone/cli/main.ts "$@"\n' >/usr/local/bin/soapstone \
 && printf '#!/bin/sh\nexec node --max-semi-space-size=4 --heap-growing-percent=30 /opt/soapstone/operator/main.ts "$@"\n' >/usr/local/bin/soapstone-controller \
 && chmod 755 /usr/local/bin/soapstone /usr/local/bin/soapstone-controller
ENV NODE_ENV=production
# Compiled once, and by whom it runs as, since Node keeps by user what it compiles: processes of pods then start in half the time.
ENV NODE_COMPILE_CACHE=/opt/soapstone/compiled
RUN mkdir compiled && chown 65532:65532 compiled \
 && setpriv --reuid=65532 --regid=65532 --clear-groups soapstone --help >/dev/null \
 && setpriv --reuid=65532 --regid=65532 --clear-groups \
    node --import ./runtime/device/run-device.ts --import ./operator/controller.ts --eval 0 \
 && chown -R 0:0 compiled && chmod -R a+rX,a-w compiled
USER 65532:65532
CMD ["soapstone", "--help"]
