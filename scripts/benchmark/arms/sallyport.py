"""The sealed form, complete: a doorway in the namespace of the client, the gateway in another one."""
import processes
from arms.arm import Arm
from ground import API, DOMAIN, FRESH, NAME_SERVER, PASS, SECRET, SSE
from processes import NOBODY

PLACEHOLDER = "sk-bench-placeholder"
_RULES = f"""
[[allow]]
host   = "{API}"
method = ["GET", "HEAD"]
path   = ["/small", "/large", "/header"]

[[allow]]
host   = "{API}"
method = "PUT"
path   = "/upload/**"

[[allow]]
host   = "{SSE}"
path   = "/events"

[[allow]]
host   = "*.{FRESH}"
method = "GET"
path   = "/small"

[[allow]]
host = "{PASS}"
tls  = "passthrough"

[[deny]]
host = "{API}"
path = "/admin/**"
"""
_SECRET = f"""
[[secret]]
name        = "bench"
host        = ["{API}", "{SSE}", "*.{FRESH}"]
header      = "X-Api-Key"
placeholder = "{PLACEHOLDER}"
value       = {{ file = "secret" }}
"""
_OTHER_RULE = f"""
[[allow]]
host   = "host-%d.{DOMAIN}"
method = ["GET", "POST"]
path   = "/v1/projects/%d/**"
"""


class Sallyport(Arm):
    key = "sallyport"
    title = "**sallyport**"
    mints = passes = True
    secret = True
    rules = 10

    def prepare(self):
        self.folder = self.ground.folder(self.key)
        (self.folder / "secret").write_text(SECRET)
        (self.folder / "policy.toml").write_text(self.policy())
        doorway = self.ground.folder(f"{self.key}/doorway", 0)
        doorway.chmod(0o2770)
        self.socket = doorway / "socket"
        self.ground.add_sealed(self.namespace)
        self.uplink = self.ground.add_joined(f"{self.key}-up")
        self.doorway = processes.start([self.program(), "doorway", "--socket", self.socket], self.folder / "doorway.log",
                                       self.namespace)

    def program(self):
        return self.options.program

    def policy(self):
        written = _RULES.count("[[allow]]") + _RULES.count("[[deny]]")
        others = "".join(_OTHER_RULE % (number // 10, number) for number in range(self.rules - written))
        return others + _RULES + (_SECRET if self.secret else "")

    def command(self):
        return [self.program(), "gateway", "--doorway", self.socket, "--policy", self.folder / "policy.toml",
                "--state", self.folder / "state", "--audit", self.folder / "audit.jsonl",
                "--admin", self.folder / "admin.sock", "--origin-ca", self.ground.ca,
                "--name-server", NAME_SERVER, "--user", NOBODY, "--quiet"]

    def launch(self):
        # Started by root, since it opens everything before it becomes nobody itself.
        self.process = processes.start(self.command(), self.folder / "log", self.uplink, processes.proxy_core(),
                                       cwd=self.folder, env=self.environment())

    def expected_header(self):
        return PLACEHOLDER if self.secret else ""  # what the origin got is taken out of its answer


class SallyportWithoutSecret(Sallyport):
    key = "no-secret"
    title = "sallyport, no secret bound (nothing injected, responses not searched)"
    secret = False
    only = ("h1", "h2", "tls", "download", "upload", "sse")


class SallyportManyRules(Sallyport):
    key = "10k-rules"
    title = "sallyport, 10,000 rules"
    rules = 10_000
    only = ("h1", "start", "memory")


class SallyportOther(Sallyport):
    key = "other-build"
    title = "sallyport, the other build"

    def program(self):
        return self.options.against
