"""A stand-in for a paid API: HTTPS on loopback, answers only to the real key.

Arguments: certificate, its key, the API key that it accepts. Prints its port.
"""
import http.server
import json
import ssl
import sys

certificate, private_key, api_key = sys.argv[1:]


class Api(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        given = self.headers.get("x-api-key", "")
        good = given == api_key
        answer = {"stand-in API": "welcome" if good else "wrong key", "the key that arrived": f"{given[:8]}... ({len(given)} characters)"}
        body = (json.dumps(answer) + "\n").encode()
        self.send_response(200 if good else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, private_key)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
