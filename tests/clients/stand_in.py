"""The origin of the client tests: an HTTPS server.

Arguments: certificate, its key, the only API key that it accepts, a directory of bare git repositories, a log file, the
address to listen on.
Prints its port. Each request is a JSON line in the log: what really arrived.
"""
import base64
import gzip
import hashlib
import http.server
import json
import os
import ssl
import subprocess
import sys
import threading
import time

certificate, private_key, api_key, repositories, log_file, address = sys.argv[1:]
log_lock = threading.Lock()


def pattern(size):
    return (b"sallyport " * (size // 10 + 1))[:size]


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one_request(self):
        self.body = b""
        super().handle_one_request()

    def read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def serve(self):
        self.body = self.read_body()
        with log_lock, open(log_file, "a") as log:
            log.write(json.dumps({"method": self.command, "path": self.path, "connection": self.client_address[1],
                                  "headers": {k.lower(): v for k, v in self.headers.items()}}) + "\n")
        path = self.path.split("?")[0]
        for prefix, answer in (("/echo", self.echo), ("/bytes/", self.bytes), ("/gzip", self.gzip),
                               ("/slow", self.slow), ("/git/", self.git), ("/private/", self.private_git),
                               ("/v1/messages", self.messages)):
            if path.startswith(prefix):
                return answer()
        self.answer(404, b'{"type":"error","error":{"type":"not_found_error","message":"no such path"}}')

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = serve

    def answer(self, status, body, **fields):
        self.send_response(status)
        fields.setdefault("Content_Type", "application/json")
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def chunk(self, data):
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def chunked(self, content_type, parts, delay):
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in parts:
            self.chunk(part)
            time.sleep(delay)
        self.chunk(b"")

    def echo(self):
        key = self.headers.get("x-api-key")
        told = {"method": self.command, "path": self.path, "size": len(self.body),
                "sha256": hashlib.sha256(self.body).hexdigest(), "longest": max(map(len, self.headers.values())),
                "key": None if key is None else "right" if key == api_key else "wrong"}
        self.answer(200, (json.dumps(told) + "\n").encode())

    def bytes(self):
        self.answer(200, pattern(int(self.path.rsplit("/", 1)[1])), Content_Type="application/octet-stream")

    def gzip(self):
        self.answer(200, gzip.compress(b"compressed on its way\n"), Content_Encoding="gzip")

    def slow(self):
        self.chunked("text/plain", [f"part {i}\n".encode() for i in range(5)], 0.1)

    def private_git(self):
        given = self.headers.get("Authorization", "")
        if given != "Basic " + base64.b64encode(f"x-access-token:{api_key}".encode()).decode():
            return self.answer(401, b"who are you?\n", WWW_Authenticate='Basic realm="git"')
        self.git()

    def git(self):
        """git's own server side, as a CGI program."""
        path, _, query = self.path.partition("?")
        environment = {"PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": repositories, "GIT_HTTP_EXPORT_ALL": "1",
                       "PATH_INFO": "/" + path.split("/", 2)[2], "QUERY_STRING": query, "REQUEST_METHOD": self.command,
                       "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(self.body)),
                       "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                       "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "REMOTE_USER": "somebody"}
        head, _, body = subprocess.run(["git", "http-backend"], input=self.body, env=environment,
                                       capture_output=True).stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(fields.pop("Status", "200").split()[0])
        self.answer(status, body, Content_Type=fields["Content-Type"])

    def messages(self):
        """The Anthropic Messages API, as far as saying "pong" goes."""
        if self.headers.get("x-api-key") != api_key:
            return self.answer(401, b'{"type":"error","error":{"type":"authentication_error","message":"invalid"}}')
        request = json.loads(self.body)
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": request.get("model"), "content": [],
                   "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}
        if "count_tokens" in self.path:
            return self.answer(200, b'{"input_tokens": 1}')
        if not request.get("stream"):
            message |= {"content": [{"type": "text", "text": "pong"}], "stop_reason": "end_turn"}
            return self.answer(200, json.dumps(message).encode())
        text = [{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": part}}
                for part in ("po", "ng")]
        events = [{"type": "message_start", "message": message},
                  {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}, *text,
                  {"type": "content_block_stop", "index": 0},
                  {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                   "usage": {"output_tokens": 2}},
                  {"type": "message_stop"}]
        self.chunked("text/event-stream",
                     [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events], 0.05)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer((address, 0), Origin)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, private_key)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(server.server_port, flush=True)
server.serve_forever()
