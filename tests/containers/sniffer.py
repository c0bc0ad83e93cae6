"""What really leaves a container: the IP packets that come in on a bridge from one MAC address.

Arguments: the bridge, the address, a log file. Each packet is a JSON line: version, protocol, to, port, text.
"""
import ipaddress
import json
import socket
import struct
import sys

bridge, address, log_file = sys.argv[1:]
source = bytes.fromhex(address.replace(":", ""))
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
wire.bind((bridge, 0))
print("listening", flush=True)

with open(log_file, "a", buffering=1) as log:
    while True:
        frame = wire.recv(65535)
        kind, packet = frame[12:14], frame[14:]
        if frame[6:12] != source or kind not in (b"\x08\x00", b"\x86\xdd"):
            continue
        if kind == b"\x08\x00":
            version, protocol, to, inner = 4, packet[9], packet[16:20], packet[(packet[0] & 15) * 4:]
        else:
            version, protocol, to, inner = 6, packet[6], packet[24:40], packet[40:]
        port = struct.unpack("!H", inner[2:4])[0] if protocol in (6, 17) and len(inner) >= 4 else 0
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in inner[:200])
        log.write(json.dumps({"version": version, "protocol": protocol, "to": str(ipaddress.ip_address(to)),
                              "port": port, "text": text}) + "\n")
