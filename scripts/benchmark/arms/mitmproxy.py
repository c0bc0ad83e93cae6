"""mitmproxy in transparent mode with an add-on that allows, logs and sets a header: what people use today."""
import pathlib

from arms.arm import Arm
from ground import PASS, PROXY_PORT, SECRET


class Mitmproxy(Arm):
    key = "mitmproxy"
    title = "mitmproxy"
    mints = passes = slow = True

    def prepare(self):
        super().prepare()
        # The CA's file is the key and its certificate.
        (self.folder / "mitmproxy-ca.pem").write_text(self.ground.ca_key.read_text() + self.ground.ca.read_text())
        (self.folder / "mitmproxy-ca.pem").chmod(0o644)

    def command(self):
        return ["mitmdump", "--quiet", "--mode", "transparent", "--listen-port", PROXY_PORT,
                "--scripts", pathlib.Path(__file__).parent.with_name("mitmproxy_addon.py"),
                "--set", f"confdir={self.folder}", "--set", f"ssl_verify_upstream_trusted_ca={self.ground.ca}",
                "--set", "stream_large_bodies=1m", "--ignore-hosts", f"^{PASS.replace('.', '[.]')}$"]

    def environment(self):
        return {**super().environment(), "BENCH_SECRET": SECRET, "BENCH_LOG": str(self.folder / "access.jsonl")}
