"""Rules that the providers document and that no type says. Each yields what is wrong with a body."""

import json
import re


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
