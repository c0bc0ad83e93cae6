// The origin of the tests that are about messages and transfers: one server behind four ports, HTTP/1.1 and HTTP/2, with
// TLS and without.
//
// Arguments as those of stand_in.py. Prints the ports. Each request is a JSON line in the log: what really arrived.
"use strict";
const crypto = require("crypto");
const fs = require("fs");
const http = require("http");
const https = require("https");
const http2 = require("http2");
const zlib = require("zlib");
const git = require("./git_backend");
const messages = require("./messages_api");

const [certificate, privateKey, apiKey, directory, logFile, address] = process.argv.slice(2);

const connections = new WeakMap();
let lastConnection = 0;

function connectionOf(request) {
  const key = request.stream ? request.stream.session : request.socket;
  if (!connections.has(key)) connections.set(key, ++lastConnection);
  return connections.get(key);
}

function log(request) {
  fs.appendFileSync(logFile, JSON.stringify({ version: request.httpVersion, method: request.method, path: request.url,
    connection: connectionOf(request), headers: request.headers, fields: request.rawHeaders }) + "\n");
}

// How many bytes have gone each way, by the name of the transfer, and who waits for how many: with these the tests let one
// thing happen after another, where a clock would have to guess.
const moved = new Map(), waiting = [];

function move(name, bytes) {
  moved.set(name, (moved.get(name) ?? 0) + bytes);
  for (const waiter of waiting.filter(w => w.name === name && moved.get(name) >= w.bytes)) {
    waiting.splice(waiting.indexOf(waiter), 1);
    waiter.next();
  }
}

function whenMoved(name, bytes, next) {
  waiting.push({ name, bytes, next });
  move(name, 0);
}

function wholeBody(request, next) {
  const body = [];
  request.on("data", part => body.push(part)).on("end", () => next(Buffer.concat(body)));
}

function reply(response, body, fields = {}) {
  response.writeHead(200, { "content-length": body.length, ...fields });
  response.end(body);
}

// As fast as it is read.
function pour(response, name, left) {
  const block = Buffer.alloc(64 * 1024, "sallyport");
  const more = () => {
    while (left > 0) {
      const part = block.subarray(0, Math.min(left, block.length));
      left -= part.length;
      move(name, part.length);
      if (!response.write(part)) return response.once("drain", more);
    }
    response.end();
  };
  more();
}

// One event; each further one only after the client has told (by /move/NAME/1) that it has read the one before.
function events(response, name, count) {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const send = number => {
    response.write(`data: event ${number}\n\n`);
    whenMoved(name, number, () => number < count ? send(number + 1) : response.end());
  };
  send(1);
}

const kThousand = Buffer.from(Array.from({ length: 100 }, (_, i) => String(i).padStart(9, "0") + "\n").join(""));
const kCompressed = zlib.gzipSync(kThousand);

const kCodings = { gzip: zlib.gzipSync, deflate: zlib.deflateSync, br: zlib.brotliCompressSync,
  zstd: zlib.zstdCompressSync };

const answers = {
  echo(request, response) {
    wholeBody(request, body => reply(response, JSON.stringify({ version: request.httpVersion, method: request.method,
      path: request.url, size: body.length, sha256: crypto.createHash("sha256").update(body).digest("hex"),
      fields: request.rawHeaders, trailers: request.trailers }) + "\n"));
  },
  unexpected(request, response) {   // see serve()
    response.writeHead(417, { "content-length": 0 });
    response.end();
  },
  thousand(request, response) {
    const about = { etag: "\"v1\"", "accept-ranges": "bytes" };
    if (request.headers["if-none-match"] === about.etag) {
      response.writeHead(304, { ...about, "content-length": 1000 });
      return response.end();
    }
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
    if (!range) return reply(response, kThousand, about);
    const [first, last] = [Number(range[1]), Math.min(Number(range[2] || 999), 999)];
    if (first > last) {
      response.writeHead(416, { "content-range": "bytes */1000", "content-length": 0 });
      return response.end();
    }
    response.writeHead(206, { ...about, "content-range": `bytes ${first}-${last}/1000`,
      "content-length": last - first + 1 });
    response.end(kThousand.subarray(first, last + 1));
  },
  gzip: (request, response) => reply(response, kCompressed, { "content-encoding": "gzip" }),
  // All fields that came, twenty times; 501 for a coding that this Node has not.
  coded(request, response, coding) {
    if (!kCodings[coding]) return response.writeHead(501, { "content-length": 0 }).end();
    reply(response, kCodings[coding]((JSON.stringify(request.rawHeaders) + "\n").repeat(20)),
      { "content-encoding": coding });
  },
  // To another host; "telling": with the key in the query.
  redirect(request, response, host, telling) {
    const query = telling ? "?key=" + encodeURIComponent(request.headers["x-api-key"]) : "";
    response.writeHead(302, { location: `https://${host}/echo${query}`, "content-length": 0 }).end();
  },
  cookies: (request, response) =>
    reply(response, "", { "Set-Cookie": ["a=1; Path=/", "b=2; Expires=Thu, 01 Jan 2099 00:00:00 GMT", "c=3"] }),
  fields(request, response, count) {   // of a thousand bytes
    const fields = {};
    for (let i = 0; i < count; ++i) fields[`x-field-${i}`] = String(i).padStart(1000, "0");
    reply(response, "", fields);
  },
  trailers(request, response) {
    response.writeHead(200, { trailer: "x-checksum" });
    response.write("a body, and then\n");
    response.addTrailers({ "x-checksum": "900150983cd24fb0" });
    response.end();
  },
  bytes(request, response, size, name) {
    response.writeHead(200, { "content-length": size });
    pour(response, name, Number(size));
  },
  // Takes what comes, and stops at `pause` bytes until somebody asks for /move/NAME-go/1.
  sink(request, response, name, pause) {
    let taken = 0, paused = false;
    request.on("data", part => {
      move(name, part.length);
      taken += part.length;
      if (!pause || paused || taken < Number(pause)) return;
      paused = true;
      request.pause();
      whenMoved(name + "-go", 1, () => request.resume());
    }).on("end", () => reply(response, taken + "\n"));
  },
  duplex(request, response) {
    response.writeHead(200);
    request.pipe(response);
  },
  events: (request, response, name, count) => events(response, name, Number(count)),
  move: (request, response, name, count) => (move(name, Number(count)), reply(response, "")),
  moved: (request, response, name, least) =>
    whenMoved(name, Number(least), () => reply(response, moved.get(name) + "\n")),
  git: (request, response) => git(request, response, directory),
  v1: (request, response) => wholeBody(request, body => messages(request, response, body, apiKey)),
};

// What is no answer of ours is a file.
function file(request, response) {
  wholeBody(request, () => {
    const path = directory + decodeURIComponent(request.url.split("?")[0]);
    fs.readFile(path.endsWith("/") ? path + "index.html" : path, (error, body) => {
      if (!error) return reply(response, body, { "content-type": path.endsWith("/") ? "text/html"
        : body[0] === "{".charCodeAt() ? "application/json" : "application/octet-stream" });
      response.writeHead(404, { "content-length": 0 });
      response.end();
    });
  });
}

function serve(request, response) {
  log(request);
  request.on("error", () => {});
  const [, what, ...words] = request.url.split("?")[0].split("/");
  if (what === "expecting") {
    if (words[0] === "refused" && request.headers.expect) return answers.unexpected(request, response);
    return answers.echo(request, response);
  }
  (Object.hasOwn(answers, what) ? answers[what] : file)(request, response, ...words);
}

const identity = { cert: fs.readFileSync(certificate), key: fs.readFileSync(privateKey) };
const roomy = { maxHeaderSize: 256 * 1024, settings: { maxHeaderListSize: 256 * 1024 } };
const servers = [https.createServer({ ...identity, ...roomy }, serve),
  http2.createSecureServer({ ...identity, ...roomy }, serve),
  http.createServer(roomy, serve),
  http2.createServer(roomy, serve)];
for (const server of servers)
  server.on("checkContinue", (request, response) => {
    if (!request.url.startsWith("/expecting/refused")) response.writeContinue();
    serve(request, response);
  });
Promise.all(servers.map(server => new Promise(next => server.listen(0, address, () => next(server.address().port)))))
  .then(ports => console.log(ports.join(" ")));
