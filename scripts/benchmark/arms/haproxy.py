"""haproxy twice: ending TLS with a static certificate, and relaying TCP by splice()."""
from arms.arm import Arm
from ground import API, EVENTS, ORIGIN, PROXY_PORT, SECRET, SSE

_GLOBAL = """
global
  nbthread 1
  maxconn 4000
  log stdout format raw local0
  ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
  log global
  timeout connect 10s
  timeout client 1h
  timeout server 1h
"""
_HTTP = """
  mode http
  option http-keep-alive
  timeout http-request 30s
  timeout http-keep-alive 1h
  http-reuse always
  log-format '{{"time":"%T","client":"%ci","host":"%[capture.req.hdr(0)]","request":"%r","status":%ST,"bytes":%B,"duration":%Ta}}'
frontend guarded
  bind :{port} ssl crt {both} alpn h2,http/1.1 backlog 4096 prefer-client-ciphers
  declare capture request len 64
  http-request capture req.hdr(host) id 0
  http-request deny unless {{ path /small /large /header /events }} METH_GET or {{ path_beg /upload/ }}
  http-request set-header X-Api-Key {secret}
  use_backend events if {{ ssl_fc_sni {sse} }}
  use_backend api_by_h2 if {{ ssl_fc_alpn h2 }}
  default_backend api
backend api
  server origin {origin}:443 ssl verify required ca-file {ca} sni str({api}) verifyhost {api} alpn http/1.1
backend api_by_h2  # many streams would need as many connections otherwise
  server origin {origin}:443 ssl verify required ca-file {ca} sni str({api}) verifyhost {api} alpn h2
backend events
  server origin {events}:443 ssl verify required ca-file {ca} sni str({sse}) verifyhost {sse}
"""
_TCP = """
  mode tcp
  option tcplog
  option splice-auto
  option dontlognull
frontend guarded
  bind :{port} backlog 4096
  tcp-request inspect-delay 10s
  tcp-request content accept if {{ req.ssl_hello_type 1 }}
  default_backend api
backend api
  server origin {origin}:443
"""


class Haproxy(Arm):
    key = "haproxy"
    title = "haproxy"
    mode = _HTTP

    def prepare(self):
        super().prepare()
        (self.folder / "haproxy.cfg").write_text(_GLOBAL + self.mode.format(
            port=PROXY_PORT, both=self.ground.both, secret=SECRET, ca=self.ground.ca, origin=ORIGIN, events=EVENTS,
            api=API, sse=SSE))

    def command(self):
        return ["haproxy", "-db", "-f", self.folder / "haproxy.cfg"]


class HaproxyTcp(Haproxy):
    key = "haproxy-tcp"
    title = "haproxy, TCP by splice"
    mode = _TCP
    intercepts = False
    passes = True
    only = ("pass-download", "pass-upload")
