// git's own server side, a CGI program, with bodies streamed in both directions.
"use strict";
const { spawn } = require("child_process");

module.exports = (request, response, repositories) => {
  const [path, query] = request.url.split("?");
  const given = request.headers;
  const environment = { PATH: process.env.PATH, GIT_PROJECT_ROOT: repositories, GIT_HTTP_EXPORT_ALL: "1",
    PATH_INFO: "/" + path.split("/").slice(2).join("/"), QUERY_STRING: query ?? "", REQUEST_METHOD: request.method,
    CONTENT_TYPE: given["content-type"] ?? "", HTTP_CONTENT_ENCODING: given["content-encoding"] ?? "",
    HTTP_GIT_PROTOCOL: given["git-protocol"] ?? "", REMOTE_USER: "somebody" };
  if (given["content-length"]) environment.CONTENT_LENGTH = given["content-length"];
  const child = spawn("git", ["http-backend"], { env: environment, stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.on("error", () => {});   // it may not want all of the request
  request.pipe(child.stdin);

  let head = Buffer.alloc(0);
  child.stdout.on("data", function readHead(part) {
    head = Buffer.concat([head, part]);
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) return;
    child.stdout.off("data", readHead).pause();
    const fields = Object.fromEntries(head.subarray(0, end).toString().split("\r\n").map(line => line.split(": ", 2)));
    const status = parseInt(fields.Status ?? "200");
    delete fields.Status;
    response.writeHead(status, fields);
    response.write(head.subarray(end + 4));
    child.stdout.pipe(response);
  });
  child.stdout.on("end", () => response.end());
};
