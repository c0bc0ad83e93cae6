"""Processes of the benchmark: where they run, what CPU time and memory they take."""
import ctypes
import os
import pathlib
import signal
import subprocess
import time

NOBODY = 65534  # whom the proxies run as: that is what the redirection tells their connections by
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def cores():
    return sorted(os.sched_getaffinity(0))


def load_core():
    """Client and origin run here, and so does the benchmark itself."""
    return ALL_CORES[0]


def proxy_core():
    return ALL_CORES[1 % len(ALL_CORES)]


ALL_CORES = cores()  # before anything is pinned


class Failure(Exception):
    """What could not be done or measured, in words for the report."""


def inside(command, namespace=None, core=None):
    """`command` by way of programs that become it: its process is the one that was started."""
    prefix = []
    if namespace:
        prefix += ["nsenter", f"--net=/run/netns/{namespace}"]
    prefix += ["taskset", "--cpu-list", str(load_core() if core is None else core)]
    return [str(word) for word in prefix + list(command)]


def run(command, namespace=None, core=None, time_limit=60, accept=(0,), **more):
    """Standard output of a command that ends by itself."""
    done = subprocess.run(inside(command, namespace, core), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          stdin=subprocess.DEVNULL, timeout=time_limit, **more)
    if done.returncode not in accept:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise Failure(f"{pathlib.Path(command[0]).name} ended with {done.returncode}: {last[:100]}")
    return done.stdout


def start(command, log, namespace=None, core=None, user=None, **more):
    """A process that serves; `log` gets what it prints. It is there at once, by way of no other program: how long it
    takes to start is measured."""
    network = os.open(f"/run/netns/{namespace}", os.O_RDONLY) if namespace else -1

    def place():
        if namespace and _LIBC.setns(network, 0) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        os.sched_setaffinity(0, [load_core() if core is None else core])
        if user is not None:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # last: another user's process has none

    try:
        with open(log, "ab") as output:
            return subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output,
                                    stderr=output, preexec_fn=place, **more)
    finally:
        if namespace:
            os.close(network)


def stop(process):
    for how in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(5)
            return
        except subprocess.TimeoutExpired:
            continue


def tree(pids):
    """These processes and all below them that live."""
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, todo = [], list(pids)
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found


def cpu_seconds(pids):
    """User and system time of the processes, their threads and all below them. Of the scheduler's clock, in nanoseconds:
    the usual figures of /proc are multiples of a tick."""
    total = 0
    for pid in tree(pids):
        for task in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
            try:
                total += int(task.read_text().split()[0])
            except OSError:
                continue  # it has just ended
    return total / 1e9


def memory(pids):
    """Resident bytes of the processes and all below them, and those of them that they share with nobody."""
    resident = private = 0
    for pid in tree(pids):
        lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        fields = dict(line.split(":", 1) for line in lines)
        number = {key: int(value.split()[0]) * 1024 for key, value in fields.items()}
        resident += number["Rss"]
        private += number["Private_Clean"] + number["Private_Dirty"]
    return resident, private


def settled_memory(pids, time_limit=10):
    """Once three looks in a row, a fifth of a second apart, agree to one in a hundred."""
    end = time.monotonic() + time_limit
    seen = [memory(pids)]
    while time.monotonic() < end:
        time.sleep(0.2)
        seen = (seen + [memory(pids)])[-3:]
        if len(seen) == 3 and max(seen)[0] - min(seen)[0] <= max(seen)[0] / 100:
            break
    return seen[-1]


def set_cores(pids, wanted):
    for pid in tree(pids):
        for task in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(task), wanted)


class Clock:
    """How long something took, and what CPU time the proxy needed meanwhile."""

    def __init__(self, pids):
        self._pids = pids

    def __enter__(self):
        self._cpu = cpu_seconds(self._pids)
        self._begin = time.monotonic()
        return self

    def __exit__(self, *_):
        self.seconds = time.monotonic() - self._begin
        self.cpu = cpu_seconds(self._pids) - self._cpu
        self.busy = 100 * self.cpu / self.seconds  # of one core, in percent
