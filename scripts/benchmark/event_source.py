"""A server of events, over TLS: each says when it was sent. Arguments: address, certificate, key."""
import socket
import socketserver
import ssl
import sys
import time

HEAD = (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
        b"X-Accel-Buffering: no\r\n"  # without it nginx would keep events back
        b"Connection: close\r\n\r\n")
INTERVAL = 0.01


class Events(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            with context.wrap_socket(self.request, server_side=True) as client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                request = b""
                while b"\r\n\r\n" not in request:
                    received = client.recv(4096)
                    if not received:
                        return
                    request += received
                client.sendall(HEAD)
                while True:
                    time.sleep(INTERVAL)
                    client.sendall(b"data: %d\n\n" % time.monotonic_ns())
        except OSError:
            pass  # the client has heard enough


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


address, certificate, key = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
Server((address, 443), Events).serve_forever()
