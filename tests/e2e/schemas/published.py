"""Checks JSON documents against the types that the providers publish with their own clients.

Reads lines of {"what", "side", "protocol", "path", "value"} from the file that is named and prints
what is wrong with each. A member that no type names is wrong, and so is a value of another type:
nothing is coerced. Where a provider documents a rule that no type says, `rules` says it.
"""

import base64
import collections
import collections.abc
import enum
import inspect
import json
import re
import struct
import sys
import types
import typing

import typing_extensions as te
from pydantic import BaseModel

# Members that are the gateway's own, or others' that it keeps: named in the documentation.
EXTENSIONS = {
    "ChatCompletionMessage": {"reasoning_content", "thinking_blocks"},
    "ChoiceDelta": {"reasoning_content", "thinking_blocks"},
    "ChatCompletionMessageFunctionToolCall": {"extra_content"},
    "ChoiceDeltaToolCall": {"extra_content"},
    "Usage": {"estimated"},
    # Models up to 4.6 take them; the types are those of the newest.
    "MessageCreateParamsNonStreaming": {"temperature", "top_p", "top_k"},
    "MessageCreateParamsStreaming": {"temperature", "top_p", "top_k"},
    # Of newer servers than the client.
    "ToolCall": {"id"},
    "Message": {"tool_call_id"},
    # In the published examples of the API, and in no type.
    "Response": {"store"},
}
# The same in requests: only a client's are checked with them.
CLIENTS_OWN = {"cache_control", "thinking_blocks", "reasoning_content", "thinking", "top_k", "extra_content", "input_type"}


# JSON schemas of Ollama's tools, of which its server passes over what it does not know.
OPEN = {"Parameters", "Property"}


class Types:
    """Reads type hints as a schema."""

    def __init__(self, extra=frozenset()):
        self.extra = extra
        self.members = {}

    def check(self, value, hint, at=""):
        """What is wrong with `value`, as a list of (path, words)."""
        origin, args = typing.get_origin(hint), typing.get_args(hint)
        if hint in (typing.Any, object) or isinstance(hint, typing.TypeVar):
            return []
        if isinstance(hint, te.TypeAliasType):
            return self.check(value, hint.__value__, at)
        if origin in (te.Annotated, te.Required, te.NotRequired):
            return self.check(value, args[0], at)
        if origin in (typing.Union, types.UnionType):
            return self.union(value, args, at)
        if origin in (typing.Literal, te.Literal):
            known = any(value == arg and type(value) is type(arg) for arg in args)
            return [] if known else [(at, f"{value!r} is none of {args}")]
        if hint is None or hint is type(None):
            return [] if value is None else [(at, "not null")]
        if getattr(hint, "__module__", "") == "ollama._types" and hint.__name__ == "Image":
            # Which is sent as a text.
            return self.plain(value, bytes, at)
        if te.is_typeddict(hint) or (inspect.isclass(hint) and issubclass(hint, BaseModel)):
            return self.object(value, hint, at)
        if origin in (list, collections.abc.Iterable, collections.abc.Sequence, set, tuple):
            if not isinstance(value, list):
                return [(at, "no array")]
            return [one for i, item in enumerate(value) for one in self.check(item, args[0], f"{at}[{i}]")]
        if origin in (dict, collections.abc.Mapping) or hint in (dict, collections.abc.Mapping):
            if not isinstance(value, dict):
                return [(at, "no object")]
            inner = args[1] if args else typing.Any
            return [one for key, item in value.items() for one in self.check(item, inner, f"{at}.{key}")]
        return self.plain(value, hint, at)

    def plain(self, value, hint, at):
        if inspect.isclass(hint) and issubclass(hint, enum.Enum):
            known = [one.value for one in hint]
            return [] if value in known else [(at, f"{value!r} is none of {known}")]
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        fits = {
            str: isinstance(value, str),
            bool: isinstance(value, bool),
            int: number and isinstance(value, int),
            float: number,
            # Both alphabets, as Google's JSON has it.
            bytes: isinstance(value, str) and (is_base64(value) or is_base64(value, b"-_")),
            list: isinstance(value, list),
        }
        if hint not in fits:
            return [(at, f"{value!r} is no {hint}")]
        return [] if fits[hint] else [(at, f"{value!r} is no {hint.__name__}")]

    def union(self, value, args, at):
        """The mistakes of the alternative that is the nearest: the one whose words all fit."""
        best = None
        for arg in args:
            wrong = self.check(value, arg, at)
            if not wrong:
                return []
            words = sum(1 for path, _ in wrong if path in (at, f"{at}.type", f"{at}.role"))
            if best is None or (words, len(wrong)) < best[0]:
                best = ((words, len(wrong)), wrong)
        return best[1]

    def object(self, value, hint, at):
        if not isinstance(value, dict):
            return [(at, f"{value!r} is no object ({hint.__name__})")]
        wrong = []
        fields = self.fields(hint)
        for name, (inner, required) in fields.items():
            if name in value:
                wrong += self.check(value[name], inner, f"{at}.{name}")
            elif required:
                wrong.append((f"{at}.{name}", f"missing ({hint.__name__})"))
        if hint.__name__ in OPEN:
            return wrong
        known = EXTENSIONS.get(hint.__name__, set()) | self.extra
        wrong += [(f"{at}.{name}", f"unknown ({hint.__name__})") for name in value if name not in fields and name not in known]
        return wrong

    def fields(self, hint):
        if hint not in self.members:
            if issubclass(hint, BaseModel):
                found = {f.alias or name: (f.annotation, f.is_required()) for name, f in hint.model_fields.items()}
            else:
                hints = te.get_type_hints(hint, include_extras=True)
                found = {name: (inner, name in hint.__required_keys__) for name, inner in hints.items()}
            self.members[hint] = found
        return self.members[hint]


class Shapes:
    """Reads AWS's service model as a schema, also what botocore leaves to the server."""

    def __init__(self, service):
        import botocore.session

        self.model = botocore.session.get_session().get_service_model(service)

    def check(self, value, shape, at=""):
        return getattr(self, shape.type_name)(value, shape, at)

    def structure(self, value, shape, at):
        if getattr(shape, "is_document_type", False):
            return []
        if not isinstance(value, dict):
            return [(at, "no object")]
        wrong = [(f"{at}.{name}", "missing") for name in shape.required_members if name not in value]
        if getattr(shape, "is_tagged_union", False) and len(value) != 1:
            wrong.append((at, f"must have one member: {sorted(value)}"))
        for name, item in value.items():
            known = name in shape.members
            wrong += self.check(item, shape.members[name], f"{at}.{name}") if known else [(f"{at}.{name}", "unknown")]
        return wrong

    def list(self, value, shape, at):
        if not isinstance(value, list):
            return [(at, "no array")]
        wrong = self.length(len(value), shape, at)
        return wrong + [one for i, item in enumerate(value) for one in self.check(item, shape.member, f"{at}[{i}]")]

    def map(self, value, shape, at):
        return [one for key, item in value.items() for one in self.check(item, shape.value, f"{at}.{key}")]

    def string(self, value, shape, at):
        if not isinstance(value, str):
            return [(at, f"{value!r} is no string")]
        wrong = self.length(len(value), shape, at)
        known, pattern = shape.metadata.get("enum"), shape.metadata.get("pattern")
        if known and value not in known:
            wrong.append((at, f"{value!r} is none of {known}"))
        if pattern and not re.fullmatch(pattern, value):
            wrong.append((at, f"{value!r} does not match {pattern}"))
        return wrong

    def blob(self, value, shape, at):
        return [] if isinstance(value, str) and is_base64(value) else [(at, "no base64")]

    def boolean(self, value, shape, at):
        return [] if isinstance(value, bool) else [(at, f"{value!r} is no boolean")]

    def integer(self, value, shape, at):
        return self.length(value, shape, at) if type(value) is int else [(at, f"{value!r} is no integer")]

    def float(self, value, shape, at):
        return self.length(value, shape, at) if type(value) in (int, float) else [(at, f"{value!r} is no number")]

    long, double = integer, float

    def length(self, count, shape, at):
        least, most = shape.metadata.get("min"), shape.metadata.get("max")
        fits = (least is None or count >= least) and (most is None or count <= most)
        return [] if fits else [(at, f"{count} is not within {least} to {most}")]


def is_base64(text, altchars=None):
    try:
        base64.b64decode(text, altchars, validate=True)
        return True
    except ValueError:
        return False


def strings(value, key):
    """All texts under `key`, anywhere."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name == key and isinstance(item, str):
                yield item
            yield from strings(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item, key)


def anthropic_rules(body):
    """platform.claude.com/docs: messages, tool use, extended thinking, structured outputs."""
    turns = body["messages"]
    if not turns or turns[0]["role"] != "user":
        yield "the first message must be the user's"
    for before, turn in zip([None, *turns], turns):
        content = turn["content"] if isinstance(turn["content"], list) else [{"type": "text", "text": turn["content"]}]
        if not content:
            yield "a message must not be empty"
        yield from blank_texts(content)
        called = {b["id"] for b in (before or {}).get("content", []) if isinstance(b, dict) and b["type"] == "tool_use"}
        answered = [b["tool_use_id"] for b in content if b["type"] == "tool_result"]
        if turn["role"] == "user" and called != set(answered):
            yield f"calls {sorted(called)} are answered by {answered}"
        kinds = [b["type"] for b in content]
        if "tool_result" in kinds and kinds[: len(answered)] != ["tool_result"] * len(answered):
            yield "tool results must come first"
    yield from blank_texts(body.get("system", []))
    for text in [*strings(body, "tool_use_id"), *(b["id"] for t in turns for b in t["content"] if isinstance(b, dict) and b["type"] == "tool_use")]:
        if not re.fullmatch("[a-zA-Z0-9_-]+", text):
            yield f"{text!r} is no id"
    if not 0 <= body.get("temperature", 1) <= 1:
        yield "temperature must be 0 to 1"
    if any(not text.strip() for text in body.get("stop_sequences", [])):
        yield "a stop sequence must not be blank"
    if body["max_tokens"] < 1:
        yield "max_tokens must be 1 at least"
    thinking = body.get("thinking", {})
    if thinking.get("type") == "enabled" and not 1024 <= thinking["budget_tokens"] < body["max_tokens"]:
        yield "budget_tokens must be 1024 at least and less than max_tokens"
    if thinking.get("type") in ("enabled", "adaptive") and body.get("tool_choice", {}).get("type") in ("any", "tool"):
        yield "thinking must not be on when a call is forced"
    if "tool_choice" in body and not body.get("tools"):
        yield "tool_choice needs tools"
    wanted = [body["output_config"]["format"]["schema"]] if body.get("output_config", {}).get("format") else []
    for schema in wanted + [tool["input_schema"] for tool in body.get("tools", []) if tool.get("strict")]:
        yield from unclosed(schema)
    for tool in body.get("tools", []):
        if "input_schema" in tool and tool["input_schema"].get("type") != "object":
            yield "a tool's schema must be of an object"


def unclosed(schema):
    """What Anthropic's own client would take out of a schema before it sends it."""
    import anthropic

    told = lambda value: sorted(strings(value, "description"))
    closed = anthropic.transform_schema(schema)
    if told(closed) != told(schema):
        yield f"a schema has what it must not: {set(told(closed)) - set(told(schema))}"
    if json.dumps(closed).count("additionalProperties") != json.dumps(schema).count('"additionalProperties": false'):
        yield "an object of a schema is open"


def blank_texts(blocks):
    for block in blocks if isinstance(blocks, list) else []:
        if block["type"] == "text" and not block["text"].strip():
            yield "a text must not be blank"


def gemini_rules(body):
    """ai.google.dev/api: generateContent, function calling."""
    if not body["contents"]:
        yield "contents must not be empty"
    for before, turn in zip([{}, *body["contents"]], body["contents"]):
        parts = turn.get("parts") or []
        if not parts:
            yield "a turn must have parts"
        if any(len(set(part) - {"thought", "thoughtSignature"}) != 1 for part in parts):
            yield "a part must be one thing"
        named = lambda turn, key: [part[key]["name"] for part in turn.get("parts") or [] if key in part]
        if named(turn, "functionResponse") != ([] if turn["role"] != "user" else named(before, "functionCall")):
            yield f"calls {named(before, 'functionCall')} are answered by {named(turn, 'functionResponse')}"
    if not body.get("systemInstruction", {"parts": [1]})["parts"]:
        yield "an instruction must have parts"


def bedrock_rules(body):
    """docs.aws.amazon.com/bedrock: Converse; a document needs a text beside it."""
    turns = body["messages"]
    if not turns or turns[0]["role"] != "user":
        yield "the first message must be the user's"
    for before, turn in zip([{"content": []}, *turns], turns):
        if before.get("role") == turn["role"]:
            yield "roles must alternate"
        if any("document" in b for b in turn["content"]) and not any("text" in b for b in turn["content"]):
            yield "a document needs a text beside it"
        if any("text" in block and not block["text"].strip() for block in turn["content"]):
            yield "a text must not be blank"
        names = [b["document"]["name"] for b in turn["content"] if "document" in b]
        if len(set(names)) != len(names):
            yield "documents of one message need different names"
        called = {b["toolUse"]["toolUseId"] for b in before["content"] if "toolUse" in b}
        answered = {b["toolResult"]["toolUseId"] for b in turn["content"] if "toolResult" in b}
        if turn["role"] == "user" and called != answered:
            yield f"calls {called} are answered by {answered}"
    structure = body.get("outputConfig", {}).get("textFormat", {}).get("structure")
    yield from unclosed(json.loads(structure["jsonSchema"]["schema"])) if structure else ()
    used = any("toolUse" in b for t in turns for b in t["content"])
    if used and "toolConfig" not in body:
        yield "calls need a toolConfig"


def cohere_rules(body):
    """docs.cohere.com/reference/chat"""
    ranges = {"p": (0.01, 0.99), "k": (0, 500), "frequency_penalty": (0, 1), "presence_penalty": (0, 1)}
    for name, (least, most) in ranges.items():
        if not least <= body.get(name, least) <= most:
            yield f"{name} must be {least} to {most}"
    if "tool_choice" in body and not body.get("tools"):
        yield "tool_choice needs tools"
    if any(m["role"] == "assistant" and not m.get("content") and not m.get("tool_calls") for m in body["messages"]):
        yield "an answer must say something"


def openai_rules(body):
    """platform.openai.com/docs: chat completions."""
    calls = set()
    for turn in body["messages"]:
        if turn["role"] == "tool":
            if turn["tool_call_id"] not in calls:
                yield f"{turn['tool_call_id']} is not called just before"
            calls.discard(turn["tool_call_id"])
            continue
        if calls:
            yield f"{calls} are not answered"
        calls = {call["id"] for call in turn.get("tool_calls", [])}
    if "tool_choice" in body and not body.get("tools"):
        yield "tool_choice needs tools"
    if "parallel_tool_calls" in body and not body.get("tools"):
        yield "parallel_tool_calls needs tools"
    if len(body.get("user", "")) > 64:
        yield "user must not be longer than 64"


def ollama_rules(body):
    if not body.get("messages"):
        yield "messages must not be empty"


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
