// The OpenAI and Anthropic clients for Node against every provider. Arguments: the gateway, the caller's key,
// the providers.

import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const [url, key, providers] = process.argv.slice(1);
const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const LINK = "https://example.com/picture.png";
const PARAMETERS = {
  type: "object",
  properties: { city: { type: "string" }, days: { type: "integer" } },
  required: ["city", "days"],
  additionalProperties: false,
};
const BOTH = "call weather and time";
const ARGUMENTS = { city: BOTH, days: 4 };

const user = (content) => ({ role: "user", content });
const told = (controls) => ({ headers: { "x-sim": controls } });

async function all(items) {
  const found = [];
  for await (const item of items) found.push(item);
  return found;
}

async function refused(error, call) {
  await assert.rejects(call, (caught) => {
    assert.equal(caught.constructor, error, `${caught.constructor.name}: ${caught}`);
    return true;
  });
}

function openai(of) {
  const api = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0, timeout: 60_000 });
  const ask = (messages, more = {}, options = {}) =>
    api.chat.completions.create({ model: of.chat, messages, ...more }, options);
  const tools = ["weather", "time"].map((name) => ({ type: "function", function: { name, parameters: PARAMETERS } }));
  const image = async (url) => {
    const parts = [
      { type: "text", text: "what is this" },
      { type: "image_url", image_url: { url } },
    ];
    assert.equal((await ask([user(parts)])).usage.prompt_tokens, 4);
  };
  return {
    async chat() {
      const system = { role: "system", content: "be brief" };
      const answer = await ask([system, user("hello there")], { stop: [" there"] });
      assert.equal(answer.choices[0].message.content, "You said: hello");
      assert.equal(answer.choices[0].finish_reason, "stop");
      assert.equal(answer.usage.prompt_tokens, 4);
      assert.ok(answer._request_id);
      assert.equal((await ask([user("hello")], { max_tokens: 2 })).choices[0].finish_reason, "length");
    },
    async streaming() {
      const more = { stream: true, stream_options: { include_usage: true } };
      const events = await all(await ask([user("a stream")], more, told("split=5")));
      const text = events.map((event) => event.choices[0]?.delta.content ?? "").join("");
      assert.equal(text, "You said: a stream");
      assert.equal(events.at(-1).usage.total_tokens, 6);
    },
    async tools() {
      const turns = [user(BOTH)];
      const { message } = (await ask(turns, { tools })).choices[0];
      const names = message.tool_calls.map((call) => call.function.name);
      assert.deepEqual(names, ["weather", "time"]);
      for (const call of message.tool_calls) assert.deepEqual(JSON.parse(call.function.arguments), ARGUMENTS);
      const results = message.tool_calls.map((call, at) => ({
        role: "tool",
        tool_call_id: call.id,
        content: ["20 C", "noon"][at],
      }));
      const last = await ask([...turns, message, ...results], { tools });
      assert.equal(last.choices[0].message.content, "The tool said: 20 C noon");
      const body = { model: of.chat, messages: turns, tools };
      const streamed = await api.chat.completions.stream(body).finalMessage();
      assert.deepEqual(streamed.tool_calls.map((call) => JSON.parse(call.function.arguments)), [ARGUMENTS, ARGUMENTS]);
    },
    async tool_choice_required() {
      const answer = await ask([user("hello")], { tools, tool_choice: "required" });
      assert.equal(answer.choices[0].message.tool_calls[0].function.name, "weather");
    },
    image_data: () => image(`data:image/png;base64,${PIXEL}`),
    image_link: () => image(LINK),
    async json_schema() {
      const json_schema = { name: "place", strict: true, schema: PARAMETERS };
      const answer = await ask([user("Rome")], { response_format: { type: "json_schema", json_schema } });
      assert.deepEqual(JSON.parse(answer.choices[0].message.content), { city: "Rome", days: 1 });
    },
    async embeddings() {
      const answer = await api.embeddings.create({ model: of.embedding, input: ["one", "two"] });
      assert.equal(answer.data.length, 2);
      assert.ok(answer.data[1].embedding.length >= 64 && typeof answer.data[1].embedding[0] === "number");
    },
    async responses() {
      const body = { model: of.chat, input: "hello there" };
      assert.equal((await api.responses.create(body)).output_text, "You said: hello there");
      const events = await all(await api.responses.create({ ...body, stream: true }));
      assert.equal(events.at(-1).type, "response.completed");
    },
    async refusals() {
      const failing = (status) => () => ask([user("x")], {}, told(`status=${status}`));
      await refused(OpenAI.BadRequestError, failing(400));
      await refused(OpenAI.RateLimitError, failing(429));
      await refused(OpenAI.InternalServerError, failing(500));
      const broken = () => ask([user("one two three")], { stream: true }, told("error-event=3")).then(all);
      await assert.rejects(broken, OpenAI.APIError);
    },
  };
}

function anthropic(of) {
  const api = new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0, timeout: 60_000 });
  const body = (messages, more) => ({ model: of.chat, max_tokens: 2000, messages, ...more });
  const ask = (messages, more = {}, options = {}) => api.messages.create(body(messages, more), options);
  const tools = ["weather", "time"].map((name) => ({ name, input_schema: PARAMETERS }));
  const text = (message) => message.content.map((block) => block.text ?? "").join("");
  const image = async (source) => {
    const message = await ask([user([{ type: "text", text: "what is this" }, { type: "image", source }])]);
    assert.equal(message.usage.input_tokens, 4);
  };
  return {
    async chat() {
      const message = await ask([user("hello there")], { system: "be brief" });
      assert.deepEqual([text(message), message.stop_reason], ["You said: hello there", "end_turn"]);
      assert.deepEqual([message.usage.input_tokens, message.usage.output_tokens], [4, 4]);
      assert.equal((await ask([user("hello")], { max_tokens: 2 })).stop_reason, "max_tokens");
    },
    async streaming() {
      const message = await api.messages.stream(body([user("a stream")]), told("split=5")).finalMessage();
      assert.deepEqual([text(message), message.usage.output_tokens], ["You said: a stream", 4]);
    },
    async tools() {
      const turns = [user(BOTH)];
      const first = await api.messages.stream(body(turns, { tools })).finalMessage();
      const calls = first.content.filter((block) => block.type === "tool_use");
      assert.deepEqual(calls.map((call) => [call.name, call.input]), [["weather", ARGUMENTS], ["time", ARGUMENTS]]);
      const results = calls.map((call) => ({ type: "tool_result", tool_use_id: call.id, content: "fine" }));
      const more = [...turns, { role: "assistant", content: first.content }, user(results)];
      assert.equal(text(await ask(more, { tools })), "The tool said: fine fine");
    },
    async tool_choice_required() {
      const message = await ask([user("hello")], { tools, tool_choice: { type: "any" } });
      assert.equal(message.content.find((block) => block.type === "tool_use").name, "weather");
    },
    image_data: () => image({ type: "base64", media_type: "image/png", data: PIXEL }),
    image_link: () => image({ type: "url", url: LINK }),
    async json_schema() {
      const format = { type: "json_schema", schema: PARAMETERS };
      const message = await ask([user("Rome")], { output_config: { format } });
      assert.deepEqual(JSON.parse(text(message)), { city: "Rome", days: 1 });
    },
    async refusals() {
      const failing = (status) => () => ask([user("x")], {}, told(`status=${status}`));
      await refused(Anthropic.BadRequestError, failing(400));
      await refused(Anthropic.RateLimitError, failing(429));
      await refused(Anthropic.InternalServerError, failing(500));
      const broken = () => ask([user("one two three")], { stream: true }, told("error-event=3")).then(all);
      await assert.rejects(broken, Anthropic.APIError);
    },
  };
}

async function run(of) {
  for (const [client, flows] of [
    [OpenAI, openai(of)],
    [Anthropic, anthropic(of)],
  ]) {
    for (const [feature, flow] of Object.entries(flows)) {
      const where = `${of.name}: ${client.name}: ${feature}`;
      const words = of.cannot[feature];
      let error;
      await flow().catch((caught) => (error = caught));
      if (words === undefined) {
        if (error) throw new Error(where, { cause: error });
      } else {
        assert.ok(error, `${where}: the table says that it cannot`);
        assert.ok(error instanceof client.BadRequestError, `${where}: ${error}`);
        // In the words of the client's own protocol.
        const named = client === Anthropic && feature === "image_link" ? "'messages'" : words.split(".")[0];
        assert.ok(error.message.includes(named), `${where}: ${error}`);
      }
    }
  }
  console.log(`passed: ${of.name}`);
}

await Promise.all(JSON.parse(providers).map(run));
