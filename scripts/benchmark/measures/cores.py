"""What a second core brings, where client and origin need it too."""
import processes
from measures.measure import Measure
from measures.requests import wrk

CONNECTIONS = 128


class Cores(Measure):
    key = "cores"
    title = "From one core to two"
    note = (f"Requests/s over HTTP/1.1 on {CONNECTIONS} connections, the proxy bound to its core, then free to use both. "
            f"This machine has {len(processes.ALL_CORES)}, so the second one is shared with client and origin. CPU: "
            "seconds for 10,000 requests with both.")
    columns = [("one", "one core", "count"), ("two", "two cores", "count"), ("gain", "gain", "times"),
               ("cpu", "CPU", "seconds")]

    def suits(self, arm):
        return arm.key in ("sallyport", "nginx-2", "haproxy") and len(processes.ALL_CORES) > 1

    def run(self, arm):
        one, _ = wrk(arm, CONNECTIONS, self.seconds_for(arm))
        try:
            processes.set_cores(arm.pids, processes.ALL_CORES[:2])
            two, clock = wrk(arm, CONNECTIONS, self.seconds_for(arm))
        finally:
            processes.set_cores(arm.pids, [processes.proxy_core()])
        rates = [told["requests"] / told["duration"] * 1e6 for told in (one, two)]
        yield {"one": rates[0], "two": rates[1], "gain": rates[1] / rates[0], "cpu": clock.cpu * 1e4 / two["requests"]}
