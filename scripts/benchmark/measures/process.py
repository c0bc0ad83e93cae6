"""What a proxy takes as a process: the time to its first answer, and memory."""
import subprocess
import time

import processes
from ground import API, ORIGIN
from measures.measure import Measure
from processes import Failure

IDLE = 1000


def first_answer(measure, arm):
    """Starts the proxy again; milliseconds from then to a client's first answer, which tries all the time."""
    arm.stop()
    client = subprocess.Popen(processes.inside(measure.tool("first", ORIGIN, API, "/small"), arm.namespace),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(0.05)  # it is trying by now
    begin = time.monotonic_ns()
    arm.launch()
    printed, error = client.communicate(timeout=60)
    if client.returncode != 0:
        raise Failure(f"{error.strip()}; {arm.last_line()}")
    return (int(printed) - begin) / 1e6


class Start(Measure):
    key = "start"
    title = "Start to first answer"
    note = ("From starting the process to the first answer through it, in ms; the client tries each millisecond. Of "
            "Sallyport it is the gateway, whose doorway waits already, as it does when the gateway restarts.")
    columns = [("first", "ms", "milliseconds")]

    def can(self, arm):
        return arm.intercepts

    def run(self, arm):
        yield {"first": first_answer(self, arm)}


class Memory(Measure):
    key = "memory"
    title = "Memory"
    note = (f"Resident memory of all processes: after the first answer, and what each of {IDLE:,} connections adds that "
            "have made one request and wait. Private: what is shared with no other process.")
    columns = [("idle", "idle, MB", "megabytes"), ("idle_private", "of it private, MB", "megabytes"),
               ("each", "each connection, KB", "kilobytes")]

    def can(self, arm):
        return arm.intercepts

    def run(self, arm):
        first_answer(self, arm)
        idle = processes.settled_memory(arm.pids)
        client = subprocess.Popen(processes.inside(self.tool("hold", ORIGIN, API, "/small", 16, IDLE), arm.namespace),
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            if not client.stdout.readline().startswith("holding"):
                raise Failure(f"{IDLE} connections cannot be held: {client.stderr.read().strip()}")
            held = processes.settled_memory(arm.pids)
        finally:
            client.kill()
            client.communicate()
        yield {"idle": idle[0] / 1e6, "idle_private": idle[1] / 1e6, "each": (held[0] - idle[0]) / 1e3 / IDLE}
