// The Anthropic Messages API, as far as a conversation goes in which the model uses tools: its turns are written out here,
// and each one is given only once the results of the one before have come in.
"use strict";

// What it wants to be run, in turn, and what the result has to show for it to go on.
const kTurns = [
  { say: "First I look around.", tool: "Bash", input: { command: "echo $((6 * 7)) > answer.txt; echo looked-$((40 + 2))",
    description: "Look around" }, result: "looked-42" },
  { say: "Now I read it.", tool: "Read", file: "answer.txt", result: "42" },
  { say: "Now I write.", tool: "Write", file: "written.txt", content: "by a tool\n", result: "written.txt" },
  { say: "Now I see whether the network is guarded.", tool: "Bash", input: {
    command: "curl -s -o /dev/null -w 'status-%{http_code}' https://other.example.test/; true",
    description: "Try the network" }, result: "status-403" },
];

function inputOf(turn, directory) {
  if (turn.input) return turn.input;
  const input = { file_path: directory + "/" + turn.file };
  return turn.content ? { ...input, content: turn.content } : input;
}

const textOf = content => typeof content === "string" ? content : content.map(part => part.text ?? "").join("");

// The last result in a conversation.
function lastResult(request) {
  return request.messages.flatMap(message => Array.isArray(message.content) ? message.content : [])
    .findLast(part => part.type === "tool_result");
}

// The blocks of the answer: those of the turn that is next, or the last words.
function blocksFor(request) {
  const directory = /work in (\S+?)[.\s"]/.exec(JSON.stringify(request.messages))?.[1];
  if (!directory || !request.tools?.some(tool => tool.name === "Bash")) return [{ type: "text", text: "pong" }];
  const result = lastResult(request);
  const next = result ? Number(result.tool_use_id.split("_")[1]) + 1 : 0;
  if (result && !textOf(result.content).includes(kTurns[next - 1].result))
    return [{ type: "text", text: `turn ${next - 1} failed: ${textOf(result.content)}` }];
  if (next === kTurns.length) return [{ type: "text", text: `done after ${next} turns` }];
  const turn = kTurns[next];
  return [{ type: "text", text: turn.say },
    { type: "tool_use", id: `toolu_${next}`, name: turn.tool, input: inputOf(turn, directory) }];
}

function eventsOf(block, index) {
  const text = block.type === "text";
  const whole = text ? block.text : JSON.stringify(block.input);
  const parts = whole.match(/[^]{1,7}/g);
  return [{ type: "content_block_start", index, content_block: text ? { ...block, text: "" } : { ...block, input: {} } },
    ...parts.map(part => ({ type: "content_block_delta", index, delta: text ? { type: "text_delta", text: part }
      : { type: "input_json_delta", partial_json: part } })),
    { type: "content_block_stop", index }];
}

module.exports = (request, response, body, apiKey) => {
  const answer = (status, value) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(value));
  };
  const failure = (status, type) => answer(status, { type: "error", error: { type, message: type } });
  if (request.headers["x-api-key"] !== apiKey) return failure(401, "authentication_error");
  if (request.method !== "POST" || !request.url.startsWith("/v1/messages")) return failure(404, "not_found_error");
  if (request.url.includes("count_tokens")) return answer(200, { input_tokens: 1 });

  const asked = JSON.parse(body);
  const content = blocksFor(asked);
  const stop_reason = content.at(-1).type === "tool_use" ? "tool_use" : "end_turn";
  const message = { id: "msg_1", type: "message", role: "assistant", model: asked.model, content: [], stop_reason: null,
    stop_sequence: null, usage: { input_tokens: 1, output_tokens: 1 } };
  if (!asked.stream) return answer(200, { ...message, content, stop_reason });
  response.writeHead(200, { "content-type": "text/event-stream" });
  const events = [{ type: "message_start", message }, ...content.flatMap(eventsOf),
    { type: "message_delta", delta: { stop_reason, stop_sequence: null }, usage: { output_tokens: 2 } },
    { type: "message_stop" }];
  const send = () => {
    const event = events.shift();
    if (!event) return response.end();
    response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`, () => setImmediate(send));
  };
  send();
};
