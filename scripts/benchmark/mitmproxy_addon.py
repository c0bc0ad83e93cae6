"""The usual add-on: a list of what is allowed, a header, a log."""
import json
import os
import re
import time

from mitmproxy import http

ALLOWED = re.compile(r"(api\.bench\.test|[^.]+\.fresh\.bench\.test)/(small|large|header)$|api\.bench\.test/upload/|"
                     r"sse\.bench\.test/events$")
SECRET = os.environ["BENCH_SECRET"]
LOG = open(os.environ["BENCH_LOG"], "a", buffering=65536)


def requestheaders(flow):
    if not ALLOWED.match(flow.request.pretty_host + flow.request.path):
        flow.response = http.Response.make(403, b"refused")
        return
    flow.request.headers["X-Api-Key"] = SECRET


def responseheaders(flow):
    if flow.response.headers.get("content-type", "").startswith("text/event-stream"):
        flow.response.stream = True


def response(flow):
    LOG.write(json.dumps({"time": time.time(), "host": flow.request.pretty_host, "method": flow.request.method,
                          "path": flow.request.path, "status": flow.response.status_code}) + "\n")
