# Three stages: client, wheel, runtime. Every step below is one that `make run` performs, run by hand on Debian 12.

FROM node:24-bookworm-slim AS client
WORKDIR /src/web
COPY web/package.json web/package-lock.json ./
RUN npm ci --no-audit --no-fund --omit-lockfile-registry-resolved
COPY web/ ./
# vite.config.ts writes to ../huizhen/static
RUN npm run build

FROM python:3.11-slim-bookworm AS wheel
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY rtc/ rtc/
COPY signaling/ signaling/
COPY recording/ recording/
COPY consent/ consent/
COPY clinic/ clinic/
COPY imaging/ imaging/
COPY archive/ archive/
COPY audit/ audit/
COPY huizhen/ huizhen/
COPY --from=client /src/huizhen/static/ huizhen/static/
RUN python -m venv /opt/huizhen \
    && /opt/huizhen/bin/pip install --no-cache-dir --constraint constraints.txt pip \
    && /opt/huizhen/bin/pip install --no-cache-dir --constraint constraints.txt .

FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 huizhen \
    && useradd --uid 10001 --gid huizhen --home-dir /var/lib/huizhen --create-home --shell /usr/sbin/nologin huizhen
COPY --from=wheel /opt/huizhen /opt/huizhen
# HUIZHEN_MEDIA_ANNOUNCE must name the address clients reach: set it when the container runs behind NAT.
ENV PATH=/opt/huizhen/bin:$PATH PYTHONUNBUFFERED=1 \
    HUIZHEN_DATA_DIR=/var/lib/huizhen HUIZHEN_HOST=0.0.0.0 HUIZHEN_PORT=8080 HUIZHEN_MEDIA_PORT=8443
USER 10001:10001
VOLUME /var/lib/huizhen
# 8080: pages, API, sockets. 8443: media, UDP and TCP on the same number.
EXPOSE 8080/tcp 8443/udp 8443/tcp
HEALTHCHECK --interval=30s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
ENTRYPOINT ["huizhen"]
CMD ["serve"]
