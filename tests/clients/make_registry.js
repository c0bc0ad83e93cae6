// Makes the files of a registry of npm packages: "greeter", which needs "@acme/words", which needs fifty others.
//
// Arguments: directory, the URL that it will have.
"use strict";
const { execFileSync } = require("child_process");
const crypto = require("crypto");
const fs = require("fs");

const [directory, url] = process.argv.slice(2);

function publish(name, dependencies, code) {
  const work = fs.mkdtempSync(directory + "/work-");
  const about = { name, version: "1.0.0", main: "index.js", dependencies };
  fs.mkdirSync(work + "/package");
  fs.writeFileSync(work + "/package/package.json", JSON.stringify(about));
  fs.writeFileSync(work + "/package/index.js", code);
  const file = `tarballs/${name.replace("/", "-")}-1.0.0.tgz`;
  execFileSync("tar", ["-czf", `${directory}/${file}`, "-C", work, "package"]);
  fs.rmSync(work, { recursive: true });
  const packed = fs.readFileSync(`${directory}/${file}`);
  const dist = { tarball: url + file, shasum: crypto.createHash("sha1").update(packed).digest("hex"),
    integrity: "sha512-" + crypto.createHash("sha512").update(packed).digest("base64") };
  if (name.includes("/")) fs.mkdirSync(directory + "/" + name.split("/")[0], { recursive: true });
  fs.writeFileSync(directory + "/" + name, JSON.stringify({ name, "dist-tags": { latest: "1.0.0" },
    versions: { "1.0.0": { ...about, dist } }, time: { "1.0.0": "2020-01-01T00:00:00.000Z" } }));
}

fs.mkdirSync(directory + "/tarballs");
const parts = Array.from({ length: 50 }, (_, i) => `part-${i}`);
parts.forEach((name, i) => publish(name, {}, `module.exports = ${i};`));
publish("@acme/words", Object.fromEntries(parts.map(name => [name, "^1.0.0"])),
  `module.exports = [${parts.map(name => `require("${name}")`)}].reduce((sum, i) => sum + i);`);
publish("greeter", { "@acme/words": "^1.0.0" }, `module.exports = "hello " + require("@acme/words");`);
// What npm and pnpm ask about what they have installed.
for (const path of ["/-/npm/v1/security/advisories", "/-/npm/v1/security/audits"])
  fs.mkdirSync(directory + path, { recursive: true });
fs.writeFileSync(directory + "/-/npm/v1/security/advisories/bulk", "{}");
