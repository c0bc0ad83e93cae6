"""Squid's ssl-bump, intercepting: certificates are minted by helper processes."""
from arms.arm import Arm
from ground import NAME_SERVER, PASS, PROXY_PORT, SECRET
from processes import NOBODY, run

_CONFIG = """
http_port 127.0.0.1:3128
https_port {port} intercept ssl-bump cert={ca_both} generate-host-certificates=on dynamic_cert_mem_cache_size=16MB
sslcrtd_program /usr/lib/squid/security_file_certgen -s {folder}/certificates -M 16MB
sslcrtd_children 5 startup=1 idle=1
acl passed ssl::server_name {passed}
acl first at_step SslBump1
ssl_bump peek first
ssl_bump splice passed
ssl_bump bump all
tls_outgoing_options cafile={ca}
dns_nameservers {names}
acl methods method GET PUT CONNECT
acl paths urlpath_regex ^/(small|large|header|events)$ ^/upload/
http_access deny !methods
http_access allow CONNECT
http_access allow paths
http_access deny all
request_header_add X-Api-Key {secret} all
cache deny all
cache_mem 8 MB
access_log stdio:{folder}/access.log
buffered_logs on
cache_log {folder}/cache.log
pid_filename none
netdb_filename none
pinger_enable off
coredump_dir {folder}
visible_hostname bench
shutdown_lifetime 0 seconds
client_idle_pconn_timeout 1 hour
server_idle_pconn_timeout 1 hour
"""


class Squid(Arm):
    key = "squid"
    title = "squid (ssl-bump)"
    http2 = False
    mints = passes = slow = True

    def prepare(self):
        super().prepare()
        (self.folder / "squid.conf").write_text(_CONFIG.format(
            port=PROXY_PORT, ca_both=self.ground.ca_both, ca=self.ground.ca, folder=self.folder, passed=PASS,
            names=NAME_SERVER, secret=SECRET))
        run(["/usr/lib/squid/security_file_certgen", "-c", "-s", self.folder / "certificates", "-M", "16MB"])
        run(["chown", "-R", f"{NOBODY}:{NOBODY}", self.folder])

    def command(self):
        return ["squid", "-N", "-n", "bench", "-f", self.folder / "squid.conf"]
