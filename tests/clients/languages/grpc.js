// The calls of grpc_test.cpp. Arguments: where the library is; which calls, instead of all. Prints a line of JSON for each.
"use strict";
const grpc = require(process.argv[2] + "/@grpc/grpc-js");

const client = new grpc.Client("api.example.test:443", grpc.credentials.createSsl(),
  { "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 });
const to = JSON.stringify, from = JSON.parse;
const of = name => ["/test.Calls/" + name, value => Buffer.from(to(value)), from];

// What came of a call: its messages, the metadata before and after them, its status.
function outcome(call) {
  const result = { messages: [] };
  return new Promise(resolve => call
    .on("metadata", metadata => result.initial = metadata.get("x-initial")[0])
    .on("data", message => result.messages.push(message))
    .on("error", () => {})
    .on("status", ({ code, details, metadata }) => resolve({ ...result, code, details,
      trailer: metadata.get("x-trailer")[0], binary: metadata.get("x-trailer-bin")[0]?.toString("hex") })));
}

function unary(name, message, options = {}, metadata = new grpc.Metadata()) {
  let call;
  const answered = new Promise(resolve =>
    call = client.makeUnaryRequest(...of(name), message, metadata, options, (_, value) => resolve(value)));
  return { call, done: Promise.all([outcome(call), answered]).then(([result, value]) => ({ ...result, value })) };
}

const none = new grpc.Metadata();
const calls = {
  async unary() {
    const metadata = new grpc.Metadata();
    metadata.set("x-client", "from the client");
    metadata.set("x-client-bin", Buffer.from([0, 1, 254, 255]));
    return unary("Say", { text: "hello" }, {}, metadata).done;
  },
  async large() {
    const result = await unary("Say", { text: "x".repeat(5_000_000) }).done;
    return { code: result.code, size: result.value.text.length };
  },
  async concurrent() {
    const results = await Promise.all(Array.from({ length: 20 }, (_, i) => unary("Say", { text: String(i) }).done));
    return results.map(result => result.value.text);
  },
  server: () => outcome(client.makeServerStreamRequest(...of("Count"), { to: 1000 }, none, {})),
  brokenOff: () => outcome(client.makeServerStreamRequest(...of("Count"), { to: 3, fail: true }, none, {})),
  client() {
    return new Promise(resolve => {
      const call = client.makeClientStreamRequest(...of("Add"), none, {}, (error, value) => resolve(error ?? value));
      for (let number = 1; number <= 1000; number++) call.write({ number });
      call.end();
    });
  },
  both() {  // each message goes only after the answer to the one before: neither direction may wait for the other's end
    const call = client.makeBidiStreamRequest(...of("Chat"), none, {});
    let sent = 0;
    const next = () => ++sent > 5 ? call.end() : call.write({ text: "message " + sent });
    call.on("data", next);
    next();
    return outcome(call);
  },
  failure: () => unary("Fail", {}).done,
  unknown: () => unary("Nothing", {}).done,
  deadline: () => unary("Hang", {}, { deadline: Date.now() + 1000 }).done,
  cancelled() {
    const chat = client.makeBidiStreamRequest(...of("Chat"), none, {});
    const { call, done } = unary("Hang", { second: true });
    chat.on("data", () => call.cancel());  // by then the server has got the call that came before
    chat.write({ text: "" });
    return done.finally(() => chat.end());
  },
  forbidden: () => unary("Forbidden", {}).done,
};
const further = {
  async patient() {  // four at a time, until the server has closed some connections
    const statuses = {}, end = Date.now() + 2000;
    await Promise.all(Array.from({ length: 4 }, async () => {
      while (Date.now() < end) {
        const { code, details } = await unary("Say", { text: "again" }).done;
        statuses[code + " " + details] = (statuses[code + " " + details] ?? 0) + 1;
      }
    }));
    return statuses;
  },
};

(async () => {
  const chosen = process.argv[3] ? { [process.argv[3]]: further[process.argv[3]] } : calls;
  for (const [name, call] of Object.entries(chosen)) console.log(to({ [name]: await call() }));
  client.close();
})();
