"""The origin: nginx for requests and transfers, a small server for events, and a name server for new names."""
import os
import pathlib
import time

import processes
from ground import API, DOMAIN, EVENTS, LARGE_BYTES, NAME_SERVER, ORIGIN
from processes import Failure, run

_NGINX = """
daemon off;
user root;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  default_type application/json;
  client_body_temp_path {folder}/body;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  http2_max_concurrent_streams 512;
  client_header_timeout 1h;
  sendfile on;
  tcp_nopush on;
  output_buffers 4 256k;
  server {{
    listen {address}:443 ssl http2 backlog=4096;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.3;
    ssl_session_cache shared:tls:16m;
    client_max_body_size 0;
    location = /small {{ return 200 '{small}'; }}
    location = /header {{ return 200 '$http_x_api_key'; }}
    location = /large {{ root {folder}; }}
    location /upload/ {{ root {folder}; dav_methods PUT; }}  # an answer comes once all has been read and stored
  }}
}}
"""
SMALL = '{"id": "msg_0123456789", "type": "message", "text": "a small answer of about a hundred bytes, as APIs give"}'


class Origin:
    def __init__(self, ground):
        self.ground = ground
        self.folder = ground.directory / "origin"
        self.folder.mkdir()
        (self.folder / "upload").mkdir()
        self._write_large()
        self.processes = [self._start_nginx(), self._start_events(), self._start_names()]
        self._wait()

    def _write_large(self):
        block = os.urandom(1 << 20)  # the same again and again: nothing here compresses
        with open(self.folder / "large", "wb") as file:
            for _ in range(LARGE_BYTES >> 20):
                file.write(block)

    def _start_nginx(self):
        config = self.folder / "nginx.conf"
        config.write_text(_NGINX.format(folder=self.folder, address=ORIGIN, certificate=self.ground.certificate,
                                        key=self.ground.key, small=SMALL))
        return processes.start(["nginx", "-e", self.folder / "error.log", "-c", config], self.folder / "log")

    def _start_events(self):
        server = pathlib.Path(__file__).with_name("event_source.py")
        return processes.start(["python3", server, EVENTS, self.ground.certificate, self.ground.key], self.folder / "log")

    def _start_names(self):
        return processes.start(
            ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root",
             "--pid-file", f"--listen-address={NAME_SERVER}", "--bind-interfaces", "--local-ttl=300",
             f"--address=/{DOMAIN}/{ORIGIN}", f"--host-record=sse.{DOMAIN},{EVENTS}"], self.folder / "log")

    def _wait(self):
        end = time.monotonic() + 10
        while True:
            try:
                run(["curl", "-sfk", f"https://{API}/small"])
                return
            except Failure as failure:
                if time.monotonic() > end:
                    print((self.folder / "log").read_text())
                    raise SystemExit(f"bench: the origin does not serve: {failure}") from failure
                time.sleep(0.05)

    def uploaded_bytes(self):
        """What the last upload left, which is then taken away."""
        file = self.folder / "upload" / "file"
        if not file.exists():
            return 0
        size = file.stat().st_size
        file.unlink()
        return size
