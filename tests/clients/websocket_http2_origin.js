// An origin that speaks HTTP/2 and HTTP/1.1, as most of the web does, and WebSocket over the latter only. Arguments as
// for stand_in.py; prints its port. /page is a page whose script talks over a WebSocket and says here what came of it;
// each request is a JSON line in the log.
"use strict";
const crypto = require("crypto");
const fs = require("fs");
const http2 = require("http2");

const [certificate, privateKey, , , logFile, address] = process.argv.slice(2);

// The load event, after which the browser prints the document, waits for the image, and that for the report.
const page = `<!doctype html><title>A page that talks</title><pre id="report">nothing</pre><script>
  addEventListener("DOMContentLoaded", async () => {
    const report = text => { document.getElementById("report").textContent = text; fetch("/reported"); };
    await (await fetch("/first")).text();
    const socket = new WebSocket("wss://" + location.host + "/talk", ["chat"]);
    socket.onopen = () => socket.send("hello over there");
    socket.onmessage = message => socket.close(4001, message.data + " " + socket.protocol);
    socket.onclose = closed => report(closed.code + " " + closed.reason);
  });
</script><img src="/image">`;

let show;
const reported = new Promise(done => show = done);

const server = http2.createSecureServer({ cert: fs.readFileSync(certificate), key: fs.readFileSync(privateKey), allowHTTP1: true });

function log(request) {
  fs.appendFileSync(logFile, JSON.stringify({
    version: request.httpVersion, method: request.method, path: request.url, headers: request.headers }) + "\n");
}

server.on("request", async (request, response) => {
  log(request);
  if (request.url == "/reported") show();
  if (request.url == "/image") await reported;
  response.setHeader("content-type", request.url == "/page" ? "text/html" : "text/plain");
  response.end(request.url == "/page" ? page : "");
});

// Of WebSocket as much as one short message each way takes (RFC 6455, section 5.2); what comes is masked.
server.on("upgrade", (request, socket) => {
  log(request);
  const accept = crypto.createHash("sha1").update(request.headers["sec-websocket-key"] +
    "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64");
  socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    `Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
  let input = Buffer.alloc(0);
  socket.on("data", bytes => {
    input = Buffer.concat([input, bytes]);
    while (input.length >= 6 && input.length >= 6 + (input[1] & 127)) {
      const [opcode, size] = [input[0], input[1] & 127];
      const payload = input.subarray(6, 6 + size).map((byte, i) => byte ^ input[2 + i % 4]);
      socket.write(Buffer.concat([Buffer.from([opcode, size]), payload]));   // also a close frame
      if ((opcode & 15) == 8) socket.end();
      input = input.subarray(6 + size);
    }
  });
  socket.on("error", () => {});
});

server.listen(0, address, () => console.log(server.address().port));
