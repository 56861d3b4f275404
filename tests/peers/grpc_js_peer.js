// Lets the peers test call through grpc-js, on one channel: a line of JSON asks, a line of JSON answers.
//
// usage: grpc_js_peer.js SOCKET PROTO-FOLDER
//
//   {"method": "package.Service/Method", "request": {…}}   ->   {"response": {…}} or {"code": 5, "text": "…"}
//   {"method": "services"}                                 ->   {"response": ["package.Service", …]}

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const readline = require("node:readline");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const TIMEOUT_MS = 120_000;
const UNKNOWN = { requestSerialize: () => Buffer.alloc(0), responseDeserialize: () => ({}) };

const [socket, folder] = process.argv.slice(2);
const api = loader.loadSync(protoFiles(folder), { includeDirs: [folder], longs: String, enums: String, defaults: true });
const client = new grpc.Client(`unix:${socket}`, grpc.credentials.createInsecure());

function protoFiles(folder) {
  return fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const name = path.join(folder, entry.name);
    return entry.isDirectory() ? protoFiles(name) : name.endsWith(".proto") ? [name] : [];
  });
}

function deadline() {
  return { deadline: Date.now() + TIMEOUT_MS };
}

function call(method, request) {
  const [service, name] = method.split("/");
  const { requestSerialize, responseDeserialize } = api[service]?.[name] ?? UNKNOWN;
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(`/${method}`, requestSerialize, responseDeserialize, request, deadline(), (error, response) =>
      error ? reject(error) : resolve(response),
    );
  });
}

function services() {
  const { path, requestSerialize, responseDeserialize } = api["grpc.reflection.v1.ServerReflection"].ServerReflectionInfo;
  const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, deadline());
  return new Promise((resolve, reject) => {
    const names = [];
    stream.on("data", (answer) => names.push(...answer.listServicesResponse.service.map((each) => each.name)));
    stream.on("error", reject);
    stream.on("end", () => resolve(names));
    stream.write({ listServices: "" });
    stream.end();
  });
}

// The details are shown as they are: the names of the fields stand in them as plain text.
function failure(error) {
  const details = error.metadata?.get("grpc-status-details-bin").map((value) => value.toString("latin1")) ?? [];
  return { code: error.code, text: [error.details, ...details].join("\n") };
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { method, request } = JSON.parse(line);
    const asked = method === "services" ? services() : call(method, request);
    const answer = await asked.then((response) => ({ response }), failure);
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
  client.close();
}

main();
