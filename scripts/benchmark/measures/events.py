"""How long a server-sent event is under way."""
import pathlib
import statistics

from ground import SSE
from measures.measure import Measure
from processes import Failure, run


class Events(Measure):
    key = "sse"
    title = "Server-sent events"
    note = ("From the origin's send to the client's receive, both on one clock: an event each 10 ms. In µs; what is "
            "beyond `direct` is the proxy's.")
    columns = [("median", "median", "microseconds"), ("p99", "p99", "microseconds")]

    def run(self, arm):
        count = 50 if self.options.quick else 300
        listener = pathlib.Path(__file__).parent.with_name("event_delay.py")
        delays = [float(line) for line in run(["python3", listener, SSE, str(count)], arm.namespace).split()]
        if len(delays) < count:
            raise Failure(f"only {len(delays)} of {count} events came")
        yield {"median": statistics.median(delays), "p99": statistics.quantiles(delays, n=100)[98]}
