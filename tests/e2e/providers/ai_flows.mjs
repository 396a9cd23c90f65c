// Vercel's AI SDK against every provider, by each of the three ways in which its OpenAI clients speak. Arguments:
// the gateway, the caller's key, the providers.

import assert from "node:assert/strict";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, Output, embedMany, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const [url, key, providers] = process.argv.slice(1);
const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const PLACE = z.object({ city: z.string(), days: z.number().int() });
const BOTH = "call weather and time";

globalThis.AI_SDK_LOG_WARNINGS = false;

const settings = { baseURL: `${url}/v1`, apiKey: key };
const openai = createOpenAI(settings);
const compatible = createOpenAICompatible({
  ...settings,
  name: "gateway",
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const WAYS = {
  responses: { model: (name) => openai.responses(name) },
  chat: { model: (name) => openai.chat(name), embedding: (name) => openai.embeddingModel(name), stops: true },
  compatible: {
    model: (name) => compatible.chatModel(name),
    embedding: (name) => compatible.embeddingModel(name),
    stops: true,
  },
};

function flows(of, way) {
  const model = way.model(of.chat);
  const always = { model, maxRetries: 0, abortSignal: AbortSignal.timeout(60_000) };
  const asked = [];
  const tools = Object.fromEntries(
    ["weather", "time"].map((name) => {
      const execute = (input) => {
        asked.push([name, input]);
        return `${name} is fine`;
      };
      return [name, tool({ description: `Tells the ${name}.`, inputSchema: PLACE, execute })];
    }),
  );
  const image = async (part) => {
    const content = [{ type: "text", text: "what is this" }, part];
    const { text, usage } = await generateText({ ...always, messages: [{ role: "user", content }] });
    assert.deepEqual([text, usage.inputTokens], ["You said: what is this", 4]);
  };
  const all = {
    async text() {
      const answer = await generateText({ ...always, system: "be brief", prompt: "hello there" });
      assert.deepEqual([answer.text, answer.finishReason], ["You said: hello there", "stop"]);
      assert.deepEqual([answer.usage.inputTokens, answer.usage.outputTokens], [4, 4]);
      const short = await generateText({ ...always, prompt: "hello there", maxOutputTokens: 2 });
      assert.deepEqual([short.text, short.finishReason], ["You said:", "length"]);
    },
    async sampling() {
      const more = { temperature: 0.5, topP: 1 };
      assert.equal((await generateText({ ...always, prompt: "hello", ...more })).text, "You said: hello");
    },
    async streaming() {
      const headers = { "x-sim": "split=5" };
      const stream = streamText({ ...always, prompt: "a stream", headers });
      let text = "";
      for await (const piece of stream.textStream) text += piece;
      assert.deepEqual([text, await stream.finishReason], ["You said: a stream", "stop"]);
      assert.deepEqual((await stream.usage).outputTokens, 4);
    },
    async tools() {
      for (const ask of [generateText, streamText]) {
        asked.length = 0;
        const answer = ask({ ...always, prompt: BOTH, tools, stopWhen: stepCountIs(3) });
        const text = await (ask === streamText ? answer.text : answer.then((done) => done.text));
        assert.equal(text, "The tool said: weather is fine time is fine");
        asked.sort();
        const input = { city: BOTH, days: 4 };
        assert.deepEqual(asked, [["time", input], ["weather", input]]);
      }
    },
    async turns() {
      // Without this its client for responses refers to answers that it takes to be stored.
      const providerOptions = { openai: { store: false } };
      const first = await generateText({ ...always, prompt: BOTH, tools, stopWhen: stepCountIs(3), providerOptions });
      const ask = { role: "user", content: "and now" };
      const messages = [{ role: "user", content: BOTH }, ...first.response.messages, ask];
      const second = await generateText({ ...always, messages, tools, providerOptions });
      assert.equal(second.text, "You said: and now");
    },
    async tool_choice_required() {
      const answer = await generateText({ ...always, prompt: "hello", tools, toolChoice: "required" });
      assert.equal(answer.toolCalls[0].toolName, "weather");
    },
    image_data: () => image({ type: "image", image: PIXEL, mediaType: "image/png" }),
    async json_schema() {
      const output = Output.object({ schema: PLACE });
      const answer = await generateText({ ...always, prompt: "Rome", output });
      assert.deepEqual(answer.output, { city: "Rome", days: 1 });
      const stream = streamText({ ...always, prompt: "Rome", output });
      assert.deepEqual(await stream.output, { city: "Rome", days: 1 });
    },
    async refusals() {
      for (const [status, expected, isRetryable] of [
        [400, 400, false],
        [429, 429, true],
        [500, 502, true],
      ]) {
        const headers = { "x-sim": `status=${status}` };
        await assert.rejects(generateText({ ...always, prompt: "x", headers }), (error) => {
          assert.ok(APICallError.isInstance(error), `${error}`);
          // What speaks OpenAI's protocol keeps its own status.
          assert.ok([expected, status].includes(error.statusCode), `${error.statusCode}`);
          assert.equal(error.isRetryable, isRetryable);
          return true;
        });
      }
    },
  };
  if (way.stops) {
    all.stop = async () => {
      const answer = await generateText({ ...always, prompt: "hello there", stopSequences: [" there"] });
      assert.deepEqual([answer.text, answer.finishReason], ["You said: hello", "stop"]);
    };
  }
  if (way.embedding) {
    all.embeddings = async () => {
      const embedding = way.embedding(of.embedding);
      const { embeddings, usage } = await embedMany({ model: embedding, values: ["one", "two"], maxRetries: 0 });
      assert.equal(embeddings.length, 2);
      assert.ok(embeddings[0].length >= 64 && usage.tokens > 0);
    };
  }
  return all;
}

async function run(of) {
  for (const [name, way] of Object.entries(WAYS)) {
    for (const [feature, flow] of Object.entries(flows(of, way))) {
      const where = `${of.name}: ${name}: ${feature}`;
      const words = of.cannot[feature];
      let error;
      await flow().catch((caught) => (error = caught));
      if (words === undefined) {
        if (error) throw new Error(where, { cause: error });
      } else {
        assert.ok(error, `${where}: the table says that it cannot`);
        assert.equal(error.statusCode, 400, `${where}: ${error}`);
        assert.ok(error.message.includes(words), `${where}: ${error}`);
      }
    }
  }
  console.log(`passed: ${of.name}`);
}

await Promise.all(JSON.parse(providers).map(run));
