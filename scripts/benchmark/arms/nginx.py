"""nginx with a static certificate and fixed origins: near-optimal C, for hosts that are known when it is configured."""
from arms.arm import Arm
from ground import API, EVENTS, ORIGIN, PROXY_PORT, SECRET, SSE

_CONFIG = """
daemon off;
worker_processes {workers};
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 16384; }}
http {{
  log_format audit escape=json '{{"time":"$time_iso8601","client":"$remote_addr","host":"$host","method":"$request_method",'
                               '"path":"$request_uri","status":$status,"bytes":$bytes_sent,"duration":$request_time}}';
  access_log {folder}/access.log audit buffer=64k flush=1s;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  http2_max_concurrent_streams 512;
  client_header_timeout 1h;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_max_body_size 0;
  ssl_certificate {certificate};
  ssl_certificate_key {key};
  ssl_protocols TLSv1.2 TLSv1.3;

  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $host;
  proxy_set_header X-Api-Key {secret};
  proxy_request_buffering off;
  proxy_buffer_size 16k;
  proxy_buffers 16 64k;
  proxy_busy_buffers_size 128k;
  proxy_max_temp_file_size 0;
  proxy_ssl_verify on;
  proxy_ssl_trusted_certificate {ca};
  proxy_ssl_server_name on;
  proxy_ssl_session_reuse on;
  proxy_ssl_protocols TLSv1.2 TLSv1.3;

  upstream api {{ server {origin}:443; keepalive 4096; keepalive_requests 1000000000; keepalive_time 1h; }}
  server {{
    listen {port} ssl http2 backlog=4096;
    server_name {api};
    location ~ ^/(small|large|header)$ {{ limit_except GET {{ deny all; }} proxy_ssl_name {api}; proxy_pass https://api; }}
    location /upload/ {{ proxy_ssl_name {api}; proxy_pass https://api; }}
  }}
  server {{
    listen {port} ssl http2;
    server_name {sse};
    location = /events {{ proxy_ssl_name {sse}; proxy_pass https://{events}; }}
  }}
}}
"""


class Nginx(Arm):
    key = "nginx"
    title = "nginx"
    workers = 1

    def prepare(self):
        super().prepare()
        (self.folder / "nginx.conf").write_text(_CONFIG.format(
            folder=self.folder, workers=self.workers, certificate=self.ground.certificate, key=self.ground.key,
            secret=SECRET, ca=self.ground.ca, origin=ORIGIN, events=EVENTS, port=PROXY_PORT, api=API, sse=SSE))

    def command(self):
        return ["nginx", "-e", self.folder / "error.log", "-c", self.folder / "nginx.conf"]


class NginxTwoWorkers(Nginx):
    key = "nginx-2"
    title = "nginx, two workers"
    workers = 2
    only = ("cores",)
