"""New TLS connections: to a name that the proxy knows, and to a new name each time."""
import json

from ground import API, FRESH, ORIGIN
from measures.measure import Clock, Measure, per_thousand
from processes import Failure, run

PARALLEL = 16


class Connections(Measure):
    host = API
    path = "/small"
    columns = [("rate", "connections/s", "count"), ("cpu", "CPU for 1,000", "seconds"), ("busy", "busy", "percent")]
    ratios = ("rate", "cpu")

    def run(self, arm):
        with Clock(arm.pids) as clock:
            printed = run(self.tool("rate", ORIGIN, self.host, self.path, PARALLEL, self.seconds_for(arm)), arm.namespace)
        told = json.loads(printed)
        if told["connections"] == 0 or told["failed"] > told["connections"] / 1000:
            raise Failure(f"{told['failed']} connections failed, {told['connections']} did not: {told['error']}")
        figures = {"rate": told["connections"] / told["seconds"]}
        if arm.pids:
            figures |= {"cpu": per_thousand(clock, told["connections"], 1), "busy": clock.busy}
        yield figures


class KnownName(Connections):
    key = "tls"
    title = "New TLS connections to a known name"
    note = (f"A full TLS 1.3 handshake each (no session is kept; checked), one request with `Connection: close`, the end; "
            f"{PARALLEL} at a time. Keys are ECDSA P-256, but for the RSA-2048 that squid and mitmproxy mint with.")


class KnownNameHandshake(Connections):
    key = "handshake"
    title = "Handshakes alone to a known name"
    note = "The same without a request: what comes of nothing but TLS."
    path = ""


class FreshName(Connections):
    key = "fresh"
    title = "New TLS connections to a new name each time"
    note = ("The same, but each for a host that has never been asked for: a certificate is minted, the name resolved, "
            "and a connection made to that origin. Ratios are to mitmproxy.")
    host = f"%.{FRESH}"

    reference = "mitmproxy"

    def can(self, arm):
        return super().can(arm) and arm.mints

    def why_not(self, arm):
        return None if arm.mints or not arm.intercepts else "has a static certificate, and cannot mint"


class FreshNameHandshake(FreshName):
    key = "mint"
    title = "Handshakes alone, with a new name each time"
    note = "The same without a request: a certificate is minted, and the handshake made."
    path = ""
