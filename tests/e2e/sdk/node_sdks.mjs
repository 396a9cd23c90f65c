// The OpenAI and Anthropic clients for Node as their users use them. Arguments: base URLs of gateways.

import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const CHAT = "sim-model";
const user = (content) => [{ role: "user", content }];
const told = (controls) => ({ headers: { "x-sim": controls } });

async function refused(error, status, code, call) {
  await assert.rejects(call, (caught) => {
    assert.equal(caught.constructor, error, `${caught.constructor.name}: ${caught}`);
    assert.equal(caught.status, status);
    assert.equal(caught.code ?? caught.error.error.type, code);
    return true;
  });
}

async function openai(url) {
  const client = (apiKey) => new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0, timeout: 30_000 });
  const api = client("key-of-app");
  const chat = (more = {}, options = {}, from = api) =>
    from.chat.completions.create({ model: CHAT, messages: user("hello there"), ...more }, options);

  const answer = await chat();
  assert.equal(answer.choices[0].message.content, "You said: hello there");
  assert.equal(answer.usage.total_tokens, 6);
  assert.ok(answer._request_id);

  let text = "";
  for await (const event of await chat({ stream: true })) {
    text += event.choices[0].delta.content ?? "";
    assert.equal(event.usage ?? null, null);
  }
  assert.equal(text, "You said: hello there");
  const counted = await chat({ stream: true, stream_options: { include_usage: true } });
  const events = await all(counted);
  assert.equal(events.at(-1).usage.total_tokens, 6);

  const parameters = { type: "object", properties: { city: { type: "string" } } };
  const tools = [{ type: "function", function: { name: "get_weather", parameters } }];
  const asked = user("use get_weather for Rome");
  const { message } = (await chat({ messages: asked, tools })).choices[0];
  const call = message.tool_calls[0];
  assert.equal(call.function.name, "get_weather");
  const result = { role: "tool", tool_call_id: call.id, content: "sunny" };
  const final = await chat({ messages: [...asked, message, result], tools });
  assert.equal(final.choices[0].message.content, "The tool said: sunny");
  const streamed = await api.chat.completions.stream({ model: CHAT, messages: asked, tools }).finalMessage();
  assert.equal(streamed.tool_calls[0].function.arguments, call.function.arguments);

  const embeddings = await api.embeddings.create({ model: "sim-embedding", input: ["one", "two"] });
  assert.equal(embeddings.data.length, 2);
  assert.equal(typeof embeddings.data[0].embedding[0], "number");
  const response = await api.responses.create({ model: CHAT, input: "hello" });
  assert.equal(response.output_text, "You said: hello");

  assert.ok((await all(await api.models.list())).some((model) => model.id === CHAT));
  assert.equal((await api.models.retrieve(CHAT)).object, "model");

  await refused(OpenAI.BadRequestError, 400, "invalid_type", () => chat({ messages: "no list" }));
  await refused(OpenAI.AuthenticationError, 401, "invalid_api_key", () => chat({}, {}, client("key-of-nobody")));
  await refused(OpenAI.PermissionDeniedError, 403, "model_not_allowed", () => chat({}, {}, client("key-of-narrow")));
  await refused(OpenAI.NotFoundError, 404, "model_not_found", () => chat({ model: "no-such-model" }));
  await refused(OpenAI.NotFoundError, 404, "model_not_found", () => api.models.retrieve("no-such-model"));
  await refused(OpenAI.APIError, 413, "request_too_large", () => chat({ messages: user("word ".repeat(60_000)) }));
  await refused(OpenAI.RateLimitError, 429, "rate_limit_exceeded", async () => {
    for (let i = 0; i < 2; i++) await chat({}, {}, client("key-of-limited"));
  });
  for (const [status, as, error, code] of [
    [429, 429, OpenAI.RateLimitError, "rate_limit_exceeded"],
    [500, 502, OpenAI.InternalServerError, "provider_error"],
    [503, 503, OpenAI.InternalServerError, "service_unavailable"],
    [504, 504, OpenAI.InternalServerError, "timeout"],
  ]) {
    await refused(error, as, code, () => chat({}, told(`status=${status}; body=html`)));
  }
  for (const controls of ["cut=3", "end-early=3", "error-event=3"]) {
    const stream = await chat({ messages: user("one two three four"), stream: true }, told(controls));
    // A connection that breaks is the transport's own error; a clean end too early would look whole.
    await assert.rejects(all(stream), controls === "cut=3" ? TypeError : OpenAI.APIError, controls);
  }
}

async function anthropic(url) {
  const client = (apiKey) => new Anthropic({ baseURL: url, apiKey, maxRetries: 0, timeout: 30_000 });
  const api = client("key-of-app");
  const chat = (more = {}, options = {}, from = api) =>
    from.messages.create({ model: CHAT, max_tokens: 50, messages: user("hello there"), ...more }, options);

  const answer = await chat();
  assert.equal(answer.content[0].text, "You said: hello there");
  assert.deepEqual([answer.usage.input_tokens, answer.usage.output_tokens], [2, 4]);
  const body = { model: CHAT, max_tokens: 50, messages: user("a stream") };
  assert.equal((await api.messages.stream(body).finalMessage()).content[0].text, "You said: a stream");
  assert.ok((await all(api.models.list())).some((model) => model.id === CHAT));

  await refused(Anthropic.AuthenticationError, 401, "authentication_error", () => chat({}, {}, client("key-of-nobody")));
  await refused(Anthropic.PermissionDeniedError, 403, "permission_error", () => chat({}, {}, client("key-of-narrow")));
  await refused(Anthropic.NotFoundError, 404, "not_found_error", () => chat({ model: "no-such-model" }));
  await refused(Anthropic.RateLimitError, 429, "rate_limit_error", () => chat({}, told("status=429; body=html")));
  await refused(Anthropic.InternalServerError, 502, "api_error", () => chat({}, told("status=500; body=html")));
}

async function all(items) {
  const found = [];
  for await (const item of items) found.push(item);
  return found;
}

for (const url of process.argv.slice(1)) {
  await openai(url);
  await anthropic(url);
  console.log(`passed: ${url}`);
}
