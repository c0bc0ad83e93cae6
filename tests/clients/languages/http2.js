// See languages_test.cpp for what it prints.
"use strict";
const http2 = require("http2");

const session = http2.connect("https://api.example.test");

function request(path, body) {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ":path": path, ":method": body ? "POST" : "GET" });
    const result = { interim: [], parts: [] };
    stream.on("headers", headers => result.interim.push(headers[":status"] + " " + headers.link))
      .on("response", headers => result.status = headers[":status"])
      .on("data", part => result.parts.push(part))
      .on("trailers", headers => result.trailers = headers)
      .on("error", reject)
      .on("end", () => resolve({ ...result, content: Buffer.concat(result.parts) }));
    stream.end(body);
  });
}

async function print(what, path, body) {
  const result = await request(path, body);
  for (const interim of result.interim) console.log("interim", interim);
  console.log(what, session.alpnProtocol, result.status, result.content.toString().trim());
  return result;
}

// An event is written only after the one before has been read: whatever keeps back bytes stops it.
async function events() {
  const seen = [];
  for await (const part of session.request({ ":path": "/events/http2" })) {
    seen.push(...[...part.toString().matchAll(/data: event (\d)/g)].map(match => match[1]));
    await request("/go/http2-" + seen.at(-1));
  }
  console.log("events", seen.join(" "));
}

(async () => {
  await print("get", "/echo/get");
  await print("post", "/echo/post", "from the sandbox");
  const all = await Promise.all(Array.from({ length: 8 }, () => request("/bytes/100000")));
  console.log("many", all.reduce((sum, result) => sum + result.content.length, 0));
  await print("upload", "/sha256", "u".repeat(3_000_000));
  await print("hints", "/hints");
  console.log("trailer", (await print("trailers", "/trailers")).trailers["x-checksum"]);
  await events();
  await print("refused", "/refused");
  session.close();
})();
