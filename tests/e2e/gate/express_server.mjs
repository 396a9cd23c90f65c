// Models behind Express, written as such servers are written: routes that do not look at case nor at
// a slash at the end, JSON whatever the content type says. Tells what it saw at /__seen.

import express from "express";

const port = Number(process.argv.at(-1));
let seen = [];
const app = express();
app.use((request, response, next) => {
  if (request.path === "/__seen") return next();
  const [path, query = ""] = request.url.split(/\?(.*)/s);
  const headers = [];
  for (let at = 0; at < request.rawHeaders.length; at += 2) {
    headers.push([request.rawHeaders[at].toLowerCase(), request.rawHeaders[at + 1]]);
  }
  request.seen = { method: request.method, path, query, headers, body: "", served: null };
  seen.push(request.seen);
  response.set({ "set-cookie": "session=of-the-provider", "x-llm-evil": "of-the-provider", "x-envoy-evil": "of-the-provider" });
  next();
});
app.use(express.text({ type: () => true, limit: "8mb" }));
app.use((request, response, next) => {
  if (request.seen && typeof request.body === "string") {
    request.seen.body = request.body;
    try {
      request.json = JSON.parse(request.body);
    } catch {
      request.json = {};
    }
    request.json = request.json ?? {};
  } else {
    request.json = {};
  }
  next();
});

const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
const serve = (request) => (request.seen.served = request.json.model ?? null);
const data = (value) => `data: ${JSON.stringify(value)}\n\n`;

app.post("/v1/chat/completions", (request, response) => {
  const about = { id: "c", created: 1, model: serve(request) };
  if (!request.json.stream) {
    const choices = [{ index: 0, finish_reason: "stop", message: { role: "assistant", content: "Hi" } }];
    return response.json({ ...about, object: "chat.completion", choices, usage });
  }
  const chunk = { ...about, object: "chat.completion.chunk" };
  response.type("text/event-stream");
  response.write(data({ ...chunk, choices: [{ index: 0, delta: { role: "assistant", content: "Hi" }, finish_reason: null }] }));
  response.write(data({ ...chunk, choices: [{ index: 0, delta: {}, finish_reason: "stop" }] }));
  if (request.json.stream_options) response.write(data({ ...chunk, choices: [], usage }));
  response.end("data: [DONE]\n\n");
});
app.post("/v1/completions", (request, response) => {
  const choices = [{ index: 0, finish_reason: "stop", text: "Hi", logprobs: null }];
  response.json({ id: "c", object: "text_completion", created: 1, model: serve(request), choices, usage });
});
app.post("/v1/embeddings", (request, response) => {
  const embedding = { object: "embedding", index: 0, embedding: [0.5, 0.25] };
  response.json({ object: "list", data: [embedding], model: serve(request), usage: { prompt_tokens: 1, total_tokens: 1 } });
});
app.post("/v1/responses", (request, response) => {
  const content = [{ type: "output_text", text: "Hi", annotations: [] }];
  const output = [{ type: "message", id: "m", role: "assistant", status: "completed", content }];
  const counted = { input_tokens: 1, output_tokens: 1, total_tokens: 2 };
  response.json({ id: "r", object: "response", created_at: 1, status: "completed", model: serve(request), output, usage: counted });
});
const ollama = { created_at: "2026-01-01T00:00:00Z", done: true, done_reason: "stop", prompt_eval_count: 1, eval_count: 1 };
const lines = (request, response, answer) =>
  request.json.stream === false
    ? response.json(answer)
    : response.type("application/x-ndjson").send(`${JSON.stringify(answer)}\n`);
app.post("/api/chat", (request, response) =>
  lines(request, response, { ...ollama, model: serve(request), message: { role: "assistant", content: "Hi" } }));
app.post("/api/generate", (request, response) =>
  lines(request, response, { ...ollama, model: serve(request), response: "Hi" }));
app.post("/api/embed", (request, response) =>
  response.json({ model: serve(request), embeddings: [[0.5]], prompt_eval_count: 1 }));
app.get("/__seen", (request, response) => {
  response.json(seen);
  seen = [];
});
app.all("/{*rest}", (request, response) => {
  if (request.method === "POST") serve(request);
  response.json({ object: "list", data: [] });
});
const server = app.listen(port, "127.0.0.1");
server.keepAliveTimeout = 60000;
