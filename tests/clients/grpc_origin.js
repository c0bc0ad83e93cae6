// A gRPC server, of the library that @grpc/grpc-js is. Messages are JSON: it is the calls that are tried.
//
// Arguments: where the library is; after how many milliseconds a client is told to come by another connection, 0 for
// never; the others as those of stand_in.py, without regard for the API key and the
// repositories. Prints its port. Each call is a JSON line in the log, and so is the end of one that was cancelled.
"use strict";
const fs = require("fs");
const [modules, age, certificate, privateKey, , , logFile, address] = process.argv.slice(2);
const grpc = require(modules + "/@grpc/grpc-js");

const json = { requestSerialize: value => Buffer.from(JSON.stringify(value)), requestDeserialize: JSON.parse,
  responseSerialize: value => Buffer.from(JSON.stringify(value)), responseDeserialize: JSON.parse };
const method = (name, requestStream, responseStream) =>
  ({ path: "/test.Calls/" + name, requestStream, responseStream, ...json });

function log(call, more) {
  const line = { path: call.getPath(), peer: call.getPeer(), metadata: call.metadata.getMap(), ...more };
  fs.appendFileSync(logFile, JSON.stringify(line) + "\n");
}

function trailer() {
  const metadata = new grpc.Metadata();
  metadata.set("x-trailer", "from the server");
  metadata.set("x-trailer-bin", Buffer.from([0, 1, 254, 255]));
  return metadata;
}

const failure = { code: grpc.status.FAILED_PRECONDITION, details: "not now: 100 %, nor later — ever" };

const calls = {
  Say(call, answer) {
    log(call);
    const metadata = new grpc.Metadata();
    metadata.set("x-initial", "from the server");
    call.sendMetadata(metadata);
    answer(null, { text: call.request.text }, trailer());
  },
  Count(call) {
    log(call);
    for (let number = 1; number <= call.request.to; number++) call.write({ number });
    if (call.request.fail) call.emit("error", { ...failure, metadata: trailer() });
    else call.end(trailer());
  },
  Add(call, answer) {
    log(call);
    let sum = 0;
    call.on("data", message => sum += message.number).on("end", () => answer(null, { sum }));
  },
  Chat(call) {
    log(call);
    call.on("data", message => call.write({ text: message.text + "?" })).on("end", () => call.end());
  },
  Fail(call, answer) {
    log(call);
    answer({ ...failure, metadata: trailer() });
  },
  Hang(call) {
    log(call);
    call.on("cancelled", () => log(call, { cancelled: true }));
  },
  Forbidden(call, answer) {
    log(call);
    answer(null, {});
  },
};

const server = new grpc.Server({ "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1,
  ...(age === "0" ? {} : { "grpc.max_connection_age_ms": Number(age) }) });
server.addService({ Say: method("Say", false, false), Count: method("Count", false, true),
  Add: method("Add", true, false), Chat: method("Chat", true, true), Fail: method("Fail", false, false),
  Hang: method("Hang", false, false), Forbidden: method("Forbidden", false, false) }, calls);
const credentials = grpc.ServerCredentials.createSsl(
  null, [{ cert_chain: fs.readFileSync(certificate), private_key: fs.readFileSync(privateKey) }]);
server.bindAsync(address + ":0", credentials, (error, port) => {
  if (error) throw error;
  console.log(port);
});
