"""An arm: one way from a client to the origin, in namespaces of its own. All are up at the same time, and idle but for
the one that is measured."""
import os
import time

import processes
from ground import API, SECRET
from processes import Failure, run

_LOG_LIMIT = 64 << 20


class Arm:
    key = ""             #: on the command line
    title = ""           #: in tables
    intercepts = True    #: ends TLS and sets a header
    http2 = True         #: towards clients
    mints = False        #: makes a certificate for a name that it has not seen
    passes = False       #: relays TLS untouched
    only = None          #: the measures that it takes part in, where those are few

    slow = False         #: a handshake takes it some ten milliseconds

    def __init__(self, ground, options):
        self.ground = ground
        self.options = options
        self.process = None
        self.namespace = self.key  #: the client's

    def prepare(self):
        """Namespaces and files, once."""
        self.folder = self.ground.folder(self.key)
        self.ground.add_joined(self.namespace)
        self.ground.redirect(self.namespace)

    def command(self):
        """What is run to serve, by NOBODY."""
        raise NotImplementedError

    def launch(self):
        self.process = processes.start(self.command(), self.folder / "log", self.namespace, processes.proxy_core(),
                                       processes.NOBODY, cwd=self.folder, env=self.environment())

    def environment(self):
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}

    def stop(self):
        if self.process:
            processes.stop(self.process)
            self.process = None

    @property
    def pids(self):
        """Whose CPU time and memory count, with all below them."""
        return [self.process.pid] if self.process else []

    def wait(self, time_limit=20):
        """Until it serves, and does what it is measured for: the secret arrives at the origin."""
        end = time.monotonic() + time_limit
        while True:
            try:
                arrived = run(["curl", "-sfk", "--http1.1", f"https://{API}/header"], self.namespace, time_limit=10)
                break
            except (Failure, TimeoutError) as failure:
                if self.process and self.process.poll() is not None:
                    raise Failure(f"ended with {self.process.returncode}: {self.last_line()}") from failure
                if time.monotonic() > end:
                    raise Failure(f"does not serve: {failure}; {self.last_line()}") from failure
                time.sleep(0.05)
        if arrived != self.expected_header():
            raise Failure(f"does not set the header: the origin got {arrived!r}")

    def expected_header(self):
        return SECRET if self.intercepts else ""

    def empty_logs(self):
        """They are in memory, and all that write them append."""
        for file in self.folder.iterdir():
            if file.is_file() and file.stat().st_size > _LOG_LIMIT:
                os.truncate(file, 0)

    def last_line(self):
        lines = (self.folder / "log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it printed nothing"
