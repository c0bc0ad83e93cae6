// The origin of the tests with clients of HTTP/2: an HTTPS server that speaks it and HTTP/1.1.
//
// Arguments: "http/1.1" to speak nothing else; the others as those of stand_in.py, without regard for the API key and the repositories. Prints its port. Each request
// is a JSON line in the log: what really arrived, and how.
"use strict";
const crypto = require("crypto");
const fs = require("fs");
const http2 = require("http2");
const https = require("https");

const [only, certificate, privateKey, , , logFile, address] = process.argv.slice(2);

const connections = new WeakMap();
let lastConnection = 0;

function connectionOf(request) {
  const key = request.stream ? request.stream.session : request.socket;
  if (!connections.has(key)) connections.set(key, ++lastConnection);
  return connections.get(key);
}

function log(request) {
  fs.appendFileSync(logFile, JSON.stringify({
    version: request.httpVersion, method: request.method, path: request.url, connection: connectionOf(request),
    stream: request.stream ? request.stream.id : null, headers: request.headers }) + "\n");
}

// Whoever asks for /wait/NAME is answered once somebody has asked for /go/NAME, whichever comes first. With it the tests
// let one thing happen after another, where a clock would have to guess.
const gone = new Set(), waiting = new Map();

function go(name) {
  gone.add(name);
  for (const next of waiting.get(name) ?? []) next();
  waiting.delete(name);
}

function when(name, next) {
  if (gone.has(name)) next();
  else waiting.set(name, [...(waiting.get(name) ?? []), next]);
}

// One event; each further one only after the client has told that it has read the one before.
function events(response, name) {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  const send = number => {
    response.write(`id: ${number}\ndata: event ${number}\n\n`);
    if (number < 5) when(`${name}-${number}`, () => send(number + 1));
    else when(`${name}-${number}`, () => response.end());
  };
  send(1);
}

function page(response, name) {
  const parts = Array.from({ length: 50 }, (_, i) => `<script src="/part/${i}.js" async></script>`).join("\n");
  response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
  response.end(fs.readFileSync(__dirname + "/browser_page.html", "utf8")
    .replaceAll("NAME", name).replace("PARTS", parts));
}

const answers = {
  echo(request, response) {
    const body = [];
    request.on("data", part => body.push(part)).on("end", () => {
      response.writeHead(200, { "content-type": "application/json", "set-cookie": ["a=1", "b=2"] });
      response.end(JSON.stringify({ version: request.httpVersion, method: request.method, path: request.url,
        headers: request.headers, trailers: request.trailers, body: Buffer.concat(body).toString() }) + "\n");
    });
  },
  bytes(request, response, size) {
    response.writeHead(200, { "content-type": "application/octet-stream" });
    response.end(Buffer.alloc(Number(size), "sallyport "));
  },
  sha256(request, response) {
    const hash = crypto.createHash("sha256");
    request.on("data", part => hash.update(part)).on("end", () => response.end(hash.digest("hex") + "\n"));
  },
  trailers(request, response) {
    response.writeHead(200, { trailer: "x-checksum" });
    response.write("a body, and then\n");
    response.addTrailers({ "x-checksum": "900150983cd24fb0" });
    response.end();
  },
  hints(request, response) {
    response.writeEarlyHints({ link: "</style.css>; rel=preload; as=style" });
    response.writeHead(200, { "content-type": "text/plain" });
    response.end("hinted at\n");
  },
  part(request, response, number) {
    response.writeHead(200, { "content-type": "text/javascript" });
    response.end(`arrived.push(${parseInt(number)});\n`);
  },
  page: (request, response, name) => page(response, name),
  events: (request, response, name) => events(response, name),
  wait: (request, response, name) => when(name, () => response.end("now\n")),
  go: (request, response, name) => (go(name), response.end("gone\n")),
};

const create = only === "http/1.1" ? https.createServer : http2.createSecureServer;
const identity = { cert: fs.readFileSync(certificate), key: fs.readFileSync(privateKey) };
const server = create({ ...identity, allowHTTP1: true }, (request, response) => {
  log(request);
  const [, what, argument] = request.url.split(/[/?]/);
  if (Object.hasOwn(answers, what)) return answers[what](request, response, argument);
  response.writeHead(404);
  response.end("no such path\n");
});
server.listen(0, address, () => console.log(server.address().port));
