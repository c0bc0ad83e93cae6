"""The peers of the container tests.

origin DIRECTORY: HTTPS on port 443 with DIRECTORY/cert.pem and key.pem; each request is a JSON line on stdout.
database: says "ready NUMBER" to whoever connects to port 5432, and then echoes.
"""
import http.server
import json
import socketserver
import ssl
import sys


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        print(json.dumps({"host": self.headers["Host"], "path": self.path, "key": self.headers["x-api-key"]}), flush=True)
        body = b"from the origin\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Database(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"ready\n")
        for line in self.rfile:
            self.wfile.write(line)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


if sys.argv[1] == "origin":
    server = http.server.ThreadingHTTPServer(("", 443), Origin)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2] + "/cert.pem", sys.argv[2] + "/key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
else:
    server = Server(("", 5432), Database)
server.serve_forever()
