// The Node clients cannot tell an answer of the cache from a fresh one. Argument: the base URL of a
// gateway with a cache.

import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const CHAT = "sim-model";
const url = process.argv.at(-1);
const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0, timeout: 60_000 });
const anthropic = new Anthropic({ baseURL: url, apiKey: "none", maxRetries: 0, timeout: 60_000 });
const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const user = (content) => [{ role: "user", content }];

// The answer, or all events of a stream; whether the cache had it.
async function ask(call, body, controls) {
  const { data, response } = await call(body, { headers: { "x-sim": controls } }).withResponse();
  const hit = response.headers.get("cache-status").includes("; hit");
  if (!body.stream) return { hit, said: plain(data) };
  const said = [];
  for await (const event of data) said.push(plain(event));
  return { hit, said };
}

// Without the client's own names for the request.
const plain = (object) => JSON.parse(JSON.stringify({ ...object, _request_id: undefined }));

async function twice(call, body, controls = "") {
  for (const stream of [false, true]) {
    const whole = { ...body(`streamed: ${stream}`), stream };
    const fresh = await ask(call, whole, controls);
    const again = await ask(call, whole, controls);
    assert.deepEqual([fresh.hit, again.hit], [false, true]);
    assert.deepEqual(again.said, fresh.said);
    const other = await ask(call, { ...whole, stream: !stream }, controls);
    assert.ok(other.hit);
  }
}

const chat = (more) => (text) => ({ model: CHAT, messages: user(`node ${text}`), ...more });
const completions = (body, options) => openai.chat.completions.create(body, options);
const tool = { type: "function", function: { name: "get_weather", parameters: schema } };
await twice(completions, chat({}));
await twice(completions, chat({ n: 2, logprobs: true }), "unicode=1");
await twice(completions, chat({ tools: [tool] }), "tools=2");
await twice((body, options) => openai.responses.create(body, options), (text) => ({ model: CHAT, input: `node ${text}` }));
// The client's own helper adds the other form up to the same.
const asked = chat({})("streamed: false");
const helped = await openai.chat.completions.stream(asked).finalChatCompletion();
const answer = await openai.chat.completions.create(asked);
assert.equal(helped.choices[0].message.content, answer.choices[0].message.content);
assert.equal(helped.id, answer.id);
console.log("passed: openai");

const message = (more) => (text) => ({ model: CHAT, max_tokens: 500, messages: user(`node ${text}`), ...more });
const messages = (body, options) => anthropic.messages.create(body, options);
await twice(messages, message({}));
await twice(messages, message({ tools: [{ name: "get_weather", input_schema: schema }] }), "tools=1");
const { stream, ...first } = message({})("streamed: false");
const final = await anthropic.messages.stream(first).finalMessage();
assert.deepEqual(final.content, (await anthropic.messages.create(first)).content);
console.log("passed: anthropic");
