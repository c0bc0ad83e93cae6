"""Listens to the server of events and prints how long each was under way, in microseconds, one a line.
Arguments: host, how many events."""
import re
import socket
import ssl
import sys
import time

host, wanted = sys.argv[1], int(sys.argv[2])
context = ssl._create_unverified_context()
delays = []
with context.wrap_socket(socket.create_connection((host, 443), timeout=10), server_hostname=host) as server:
    server.sendall(b"GET /events HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n\r\n" % host.encode())
    pending = b""
    while len(delays) < wanted:
        received = server.recv(65536)
        now = time.monotonic_ns()
        if not received:
            sys.exit("the stream ended early")
        pending += received
        for sent in re.findall(rb"data: (\d+)\n\n", pending):
            delays.append((now - int(sent)) / 1000)
        pending = pending[pending.rfind(b"\n\n") + 2:] if b"\n\n" in pending else pending
print("\n".join(map(str, delays)))
