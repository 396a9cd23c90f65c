"""Checks JSON documents against what the providers publish.

Reads lines of {"what", "side", "protocol", "path", "value"} from the file that is named and prints
what is wrong with each. Run behind types.py and rules.py.
"""

import base64
import collections
import inspect
import json
import re
import struct
import sys

import typing_extensions as te


def published():
    """The checks by side, protocol and what the path ends with."""
    from typing import List, Optional, Union

    import anthropic.types
    import cohere.v2.client
    import ollama._types as ollama
    import openai.types
    import openai.types.chat
    import openai.types.responses as responses
    from anthropic.types import message_create_params
    from google.genai import types as genai
    from openai.types import embedding_create_params
    from openai.types.chat import completion_create_params
    from openai.types.responses import response_create_params

    strict, lenient = Types(), Types(CLIENTS_OWN)
    bedrock = Shapes("bedrock-runtime")
    no_rules = lambda body: ()

    def of(hint, rules=no_rules, types=strict):
        return lambda value: types.check(value, hint) or [("", rule) for rule in rules(value)]

    def embeddings(value):
        """The client unpacks base64, which no type of it names."""
        for one in value["data"]:
            if isinstance(one["embedding"], str):
                packed = base64.b64decode(one["embedding"], validate=True)
                one["embedding"] = [number for (number,) in struct.iter_unpack("<f", packed)]
        return strict.check(value, openai.types.CreateEmbeddingResponse)

    def chunk(value):
        """An event of OpenAI's that has an error has nothing else."""
        if "error" in value:
            return strict.check(value, dict[str, openai.types.ErrorObject])
        return strict.check(value, openai.types.chat.ChatCompletionChunk)

    def unless_error(hint):
        """An event of an error has a shape that no client has a type for."""
        return lambda value: [] if list(value) == ["error"] else strict.check(value, hint)

    def arguments(function, **more):
        """A client's function whose arguments are the members of the body."""
        hints = te.get_type_hints(function)
        members = {
            name: (hints[name], parameter.default is inspect.Parameter.empty)
            for name, parameter in inspect.signature(function).parameters.items()
            if name not in ("self", "request_options", "client")
        }
        members |= {name: (hint, True) for name, hint in more.items()}
        known = type(function.__name__, (dict,), {})
        strict.members[known] = members
        return known

    def body(known, rules=no_rules):
        return lambda value: strict.object(value, known, "") or [("", rule) for rule in rules(value)]

    class Generate(te.TypedDict, total=False):
        contents: te.Required[List[genai.Content]]
        systemInstruction: genai.Content
        tools: List[genai.Tool]
        toolConfig: genai.ToolConfig
        safetySettings: List[genai.SafetySetting]
        generationConfig: genai.GenerationConfig
        cachedContent: str

    class Embed(te.TypedDict, total=False):
        model: te.Required[str]
        content: te.Required[genai.Content]
        taskType: str
        title: str
        outputDimensionality: int

    class BatchEmbed(te.TypedDict):
        requests: List[Embed]

    class Embedded(te.TypedDict):
        """The answer to one, which Google's client asks for in no other way than many."""

        embedding: te.Required[genai.ContentEmbedding]
        usageMetadata: te.NotRequired[genai.UsageMetadata]

    class Titan(te.TypedDict, total=False):
        inputText: te.Required[str]
        dimensions: int
        normalize: bool
        embeddingTypes: List[str]

    def shape(operation, rules):
        found = bedrock.model.operation_model(operation).input_shape

        def check(value):
            wrong = bedrock.check({"modelId": "amazon.nova-lite-v1", **value}, found)
            return wrong or [("", rule) for rule in rules(value)]

        return check

    embed = arguments(cohere.v2.client.V2Client.embed)
    bedrock_embed = type("embed", (dict,), {})
    strict.members[bedrock_embed] = {k: v for k, v in strict.members[embed].items() if k != "model"}
    cohere_chat = arguments(cohere.v2.client.V2Client.chat, stream=bool)
    chat = completion_create_params.CompletionCreateParams
    converse = shape("Converse", bedrock_rules)
    return {
        ("client", "openai", ""): of(chat, openai_rules, lenient),
        ("client", "anthropic", ""): of(message_create_params.MessageCreateParams),
        ("client", "responses", ""): of(response_create_params.ResponseCreateParams),
        ("client", "embeddings", ""): of(embedding_create_params.EmbeddingCreateParams, types=lenient),
        ("client", "gemini", ""): of(Generate, gemini_rules),
        ("client", "gemini_embed", ""): of(Union[Embed, BatchEmbed]),
        ("client", "ollama", ""): of(ollama.ChatRequest, ollama_rules),
        ("client", "ollama_generate", ""): of(ollama.GenerateRequest),
        ("client", "ollama_embed", ""): of(ollama.EmbedRequest),
        ("request", "openai", "/embeddings"): of(embedding_create_params.EmbeddingCreateParams),
        ("request", "openai", "/chat/completions"): of(chat, openai_rules),
        ("request", "anthropic", "/messages"): of(message_create_params.MessageCreateParams, anthropic_rules),
        ("request", "gemini", "enerateContent"): of(Generate, gemini_rules),
        ("request", "gemini", ":batchEmbedContents"): of(BatchEmbed),
        ("request", "bedrock", "/converse"): converse,
        ("request", "bedrock", "/converse-stream"): converse,
        ("request", "bedrock", "titan/invoke"): of(Titan),
        ("request", "bedrock", "/invoke"): body(bedrock_embed),
        ("request", "cohere", "/chat"): body(cohere_chat, cohere_rules),
        ("request", "cohere", "/embed"): body(embed),
        ("request", "ollama", "/api/chat"): of(ollama.ChatRequest, ollama_rules),
        ("request", "ollama", "/api/embed"): of(ollama.EmbedRequest),
        ("answer", "openai", ""): of(openai.types.chat.ChatCompletion),
        ("answer", "anthropic", ""): of(anthropic.types.Message),
        ("answer", "responses", ""): of(responses.Response),
        ("answer", "embeddings", ""): embeddings,
        ("answer", "gemini", ""): of(genai.GenerateContentResponse),
        ("answer", "gemini_embed", ""): of(Union[genai.EmbedContentResponse, Embedded]),
        ("answer", "ollama", ""): of(ollama.ChatResponse),
        ("answer", "ollama_generate", ""): of(ollama.GenerateResponse),
        ("answer", "ollama_embed", ""): of(ollama.EmbedResponse),
        ("event", "openai", ""): chunk,
        ("event", "anthropic", ""): of(Union[anthropic.types.RawMessageStreamEvent, anthropic.types.ErrorResponse]),
        ("event", "responses", ""): of(responses.ResponseStreamEvent),
        ("event", "gemini", ""): unless_error(genai.GenerateContentResponse),
        ("event", "ollama", ""): unless_error(ollama.ChatResponse),
        ("event", "ollama_generate", ""): unless_error(ollama.GenerateResponse),
    }


def main(file):
    checks = published()
    counts, wrong = collections.Counter(), []
    for line in open(file, encoding="utf-8"):
        one = json.loads(line)
        side, protocol = one["side"], one["protocol"]
        path = one.get("path", "").split("?")[0]
        known = [check for (s, p, end), check in checks.items() if (s, p) == (side, protocol) and path.endswith(end)]
        counts[side, protocol] += 1
        mistakes = known[0](one["value"]) if known else [("", f"no schema for {path!r}")]
        wrong += [(one, mistakes)] if mistakes else []
    seen = collections.Counter()
    for one, mistakes in wrong:
        told = [re.sub(r"\d+", "N", str(mistake)) for mistake in mistakes]
        key = (one["what"].split(" ")[0], one["side"], told[0])
        seen[key] += 1
        if seen[key] == 1:
            print(f"wrong: {one['what']}, {one['side']} of {one['protocol']}: {mistakes[:3]}\n  {json.dumps(one['value'])[:1500]}")
    for key, count in seen.items():
        print(f"{count} times: {key}")
    for (side, protocol), count in sorted(counts.items()):
        print(f"checked: {side} {protocol} {count}")
    print(f"passed: {sum(counts.values()) - len(wrong)} of {sum(counts.values())}")


main(sys.argv[1])
