"""The network: the origin's namespace, which is the benchmark's own, and beside it two for each arm. In memory, and gone
with the benchmark's mount namespace: a folder for everything that is written, and the names in /etc/hosts."""
import pathlib
import subprocess

from processes import NOBODY, Failure, run

# Addresses for documentation (RFC 5737), since Sallyport's default is to refuse private ones.
ORIGIN = "198.51.100.1"
EVENTS = "198.51.100.2"
NAME_SERVER = "198.51.100.3"
NETWORK = "198.51.100.0/24"
DOMAIN = "bench.test"
API, PASS, SSE = f"api.{DOMAIN}", f"pass.{DOMAIN}", f"sse.{DOMAIN}"
FRESH = f"fresh.{DOMAIN}"  # names below it are new each time

PROXY_PORT = 8443
SECRET = "sk-bench-real-0123456789abcdef0123456789abcdef"  # what every arm puts into X-Api-Key
LARGE_BYTES = 512 << 20

_SETTINGS = {
    # One client opens more connections in a minute than there are ports, and its last ones wait for their end.
    "net.ipv4.ip_local_port_range": "10000 65000",
    "net.ipv4.tcp_tw_reuse": "1",
    "net.core.somaxconn": "4096",
    "net.ipv4.tcp_max_syn_backlog": "4096",
}
_REDIRECTION = """
table ip bench {
  chain output {
    type nat hook output priority -100
    meta skuid != %d ip daddr %s tcp dport 443 redirect to :%d
  }
}
"""


class Ground:
    def __init__(self):
        for place, mode in (("/run", "755"), ("/dev/shm", "1777")):
            run(["mount", "-t", "tmpfs", "-o", f"mode={mode}", "tmpfs", place])
        self.directory = pathlib.Path("/run/bench")
        pathlib.Path("/run/netns").mkdir()
        self.directory.mkdir()
        self._addresses = 10
        self._name_hosts()
        run(["ip", "link", "set", "lo", "up"])
        run(["ip", "link", "add", "bench", "type", "bridge"])
        for address in (ORIGIN, EVENTS, NAME_SERVER):
            run(["ip", "address", "add", f"{address}/24", "dev", "bench"])
        run(["ip", "link", "set", "bench", "up"])
        self._set()
        self.make_certificates()

    def _name_hosts(self):
        hosts = self.directory / "hosts"
        hosts.write_text(f"127.0.0.1 localhost\n{ORIGIN} {API} {PASS}\n{EVENTS} {SSE}\n")
        run(["mount", "--bind", hosts, "/etc/hosts"])

    @staticmethod
    def _set(namespace=None):
        run(["sysctl", "-qw"] + [f"{key}={value}" for key, value in _SETTINGS.items()], namespace)

    def add_sealed(self, name):
        """A namespace without any interface but lo."""
        run(["ip", "netns", "add", name])
        self._set(name)
        return name

    def add_joined(self, name):
        """A namespace with an address of its own on the origin's network."""
        self.add_sealed(name)
        self._addresses += 1
        run(["ip", "link", "add", f"to-{name}"[:15], "type", "veth", "peer", "name", "eth0", "netns", name])
        run(["ip", "link", "set", f"to-{name}"[:15], "master", "bench", "up"])
        run(["ip", "link", "set", "lo", "up"], name)
        run(["ip", "address", "add", f"198.51.100.{self._addresses}/24", "dev", "eth0"], name)
        run(["ip", "link", "set", "eth0", "up"], name)
        return name

    def redirect(self, namespace):
        """What is not the proxy's own goes to the proxy."""
        rules = _REDIRECTION % (NOBODY, NETWORK, PROXY_PORT)
        subprocess.run(["nsenter", f"--net=/run/netns/{namespace}", "nft", "-f", "-"], input=rules, text=True, check=True)
        # Connections that have ended would fill the table.
        run(["sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_timeout_time_wait=5"], namespace)

    def folder(self, name, owner=NOBODY):
        path = self.directory / name
        path.mkdir()
        run(["chown", f"{owner}:{NOBODY}", path])
        return path

    # All keys are ECDSA P-256, as Sallyport's own: how fast a proxy's TLS is shall not depend on who chose the key.
    def make_certificates(self):
        self.ca, self.ca_key = self.directory / "ca.pem", self.directory / "ca.key"
        self._openssl("-x509", "-keyout", self.ca_key, "-out", self.ca, "-subj", "/CN=bench CA",
                      "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self.certificate, self.key = self.directory / "server.pem", self.directory / "server.key"
        self._openssl("-x509", "-CA", self.ca, "-CAkey", self.ca_key, "-keyout", self.key, "-out", self.certificate,
                      "-subj", "/CN=bench", "-addext", f"subjectAltName=DNS:*.{DOMAIN},DNS:*.{FRESH}",
                      "-addext", "basicConstraints=critical,CA:FALSE")
        self.both = self.directory / "both.pem"
        self.both.write_text(self.certificate.read_text() + self.key.read_text())
        self.ca_both = self.directory / "ca-both.pem"
        self.ca_both.write_text(self.ca.read_text() + self.ca_key.read_text())
        for file in (self.ca_key, self.key, self.both, self.ca_both):
            file.chmod(0o644)  # nobody's proxies read them, and they are worth nothing

    @staticmethod
    def _openssl(*arguments):
        try:
            run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"] +
                list(arguments))
        except Failure as failure:
            raise SystemExit(f"bench: no certificate: {failure}") from failure
