// See languages_test.cpp for what it prints. fetch does not tell the version.
"use strict";
const site = "https://api.example.test";

async function print(what, path, options) {
  const response = await fetch(site + path, options);
  console.log(what, "fetch", response.status, (await response.text()).trim());
}

(async () => {
  await print("get", "/echo/get");
  await print("post", "/echo/post", { method: "POST", body: "from the sandbox" });
  const some = async () => (await (await fetch(site + "/bytes/100000")).arrayBuffer()).byteLength;
  const sizes = await Promise.all(Array.from({ length: 8 }, some));
  console.log("many", sizes.reduce((a, b) => a + b));
  await print("upload", "/sha256", { method: "POST", body: "u".repeat(3_000_000) });

  // An event is written only after the one before has been read: whatever keeps back bytes stops it.
  const events = [], decoder = new TextDecoder();
  for await (const part of (await fetch(site + "/events/fetch")).body) {
    events.push(...[...decoder.decode(part).matchAll(/data: event (\d)/g)].map(match => match[1]));
    await fetch(site + "/go/fetch-" + events.at(-1));
  }
  console.log("events", events.join(" "));
  await print("refused", "/refused");
})();
