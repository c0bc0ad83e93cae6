"""Requests on connections that stay open, over HTTP/1.1 by wrk and over HTTP/2 by h2load."""
import contextlib
import json
import pathlib
import statistics
import tempfile

from ground import API
from measures.measure import Clock, Measure, per_thousand
from processes import Failure, run

# In microseconds, as wrk counts.
_WRK_SCRIPT = """
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('JSON{"requests": %d, "duration": %d, "p50": %f, "p99": %f, "failed": %d}\\n', summary.requests,
    summary.duration, latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
"""


def wrk(arm, connections, seconds, path="/small"):
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_WRK_SCRIPT)
        script.flush()
        with Clock(arm.pids) as clock:
            printed = run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s",
                           "-s", script.name, f"https://{API}{path}"], arm.namespace)
    told = json.loads(printed.partition("JSON")[2])
    if told["requests"] == 0 or told["failed"] > told["requests"] / 1000:
        raise Failure(f"{told['failed']} of {told['requests']} requests failed at {connections} connections")
    return told, clock


class Http1(Measure):
    key = "h1"
    title = "Requests over HTTP/1.1"
    note = ("Small answers of 110 bytes on connections that stay open (wrk). p50 and p99 in µs. CPU: seconds of the proxy "
            "for 10,000 requests. Busy: how much of its core the proxy used at 128 connections; below some 95 % client and "
            "origin, on the other core, were what limited the rate.")
    points = (1, 16, 128)
    ratios = tuple(f"rate@{n}" for n in points)
    columns = [(f"rate@{n}", f"requests/s, {n} conn.", "count") for n in points] + \
              [(f"latency@{n}", f"p50 / p99, {n} conn.", "text") for n in points] + \
              [(f"cpu@{n}", f"CPU, {n} conn.", "seconds") for n in points] + [("busy@128", "busy", "percent")]

    def run(self, arm):
        with contextlib.suppress(Failure):
            wrk(arm, max(self.points), 1)  # so that connections to the origin are there
        for connections in self.points:
            told, clock = wrk(arm, connections, self.seconds_for(arm))
            figures = {f"rate@{connections}": told["requests"] / told["duration"] * 1e6,
                       f"p50@{connections}": told["p50"], f"p99@{connections}": told["p99"]}
            if arm.pids:
                figures |= {f"cpu@{connections}": per_thousand(clock, told["requests"], 10),
                            f"busy@{connections}": clock.busy}
            yield figures


class Http2(Measure):
    key = "h2"
    title = "Requests over HTTP/2"
    note = ("The same by HTTP/2 (h2load), connections x streams at a time. nginx speaks only HTTP/1.1 to origins, so it "
            "needs a connection for each stream; the others speak HTTP/2. The rate is that of the middle four fifths.")
    points = ((1, 100), (16, 100), (128, 32))
    ratios = tuple(f"rate@{c}x{m}" for c, m in points)
    columns = [(f"rate@{c}x{m}", f"requests/s, {c} x {m}", "count") for c, m in points] + \
              [(f"latency@{c}x{m}", f"p50 / p99, {c} x {m}", "text") for c, m in points] + \
              [(f"cpu@{c}x{m}", f"CPU, {c} x {m}", "seconds") for c, m in points] + [("busy@128x32", "busy", "percent")]

    def can(self, arm):
        return super().can(arm) and arm.http2

    def why_not(self, arm):
        return None if arm.http2 else "speaks no HTTP/2 with clients"

    def run(self, arm):
        for connections, streams in self.points:
            # Each stream once, so that connections to the origin are there, and to learn how many make up the time.
            rate = self._load(arm, connections, streams, connections * (4 if arm.slow else streams))[0]
            count = max(connections * streams, round(rate * self.seconds_for(arm)))
            rate, times, clock = self._load(arm, connections, streams, count)
            percentiles, point = statistics.quantiles(times, n=100), f"{connections}x{streams}"
            figures = {f"rate@{point}": rate, f"p50@{point}": percentiles[49], f"p99@{point}": percentiles[98]}
            if arm.pids:
                figures |= {f"cpu@{point}": per_thousand(clock, count, 10), f"busy@{point}": clock.busy}
            yield figures

    @staticmethod
    def _load(arm, connections, streams, count):
        """Requests/s, the times of each, and the clock. By number: h2load's measuring by time never ends when a handshake
        has not by then."""
        with tempfile.TemporaryDirectory() as folder:
            log = pathlib.Path(folder) / "requests"
            with Clock(arm.pids) as clock:
                printed = run(["h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-n{count}", "--npn-list=h2",
                               f"--log-file={log}", f"https://{API}/small"], arm.namespace, time_limit=120)
            rows = [[int(field) for field in line.split("\t")] for line in log.read_text().splitlines()]
        if "Application protocol: h2" not in printed:
            raise Failure("HTTP/2 was not agreed on")
        good = [(begin + took, took) for begin, status, took in rows if status == 200]
        if len(good) < count * 0.999:
            raise Failure(f"{count - len(good)} of {count} requests failed at {connections}x{streams}")
        ends = sorted(end for end, _ in good)
        first, last = len(ends) // 10, len(ends) * 9 // 10  # without the handshakes, and without the stragglers
        return (last - first) / max(1, ends[last] - ends[first]) * 1e6, [took for _, took in good], clock
