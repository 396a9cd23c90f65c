"""The OpenAI and Anthropic clients cannot tell an answer of the cache from a fresh one. Argument: the
base URL of a gateway with a cache.

Of each kind of request: the answer that is stored, the one that is served for it in the same form,
and the one in the other form, beside a fresh one that passed the cache by.
"""

import sys

import anthropic
import openai
from anthropic.lib.streaming._messages import accumulate_event
from openai.lib.streaming.chat import ChatCompletionStreamState

CHAT, EMBEDDING = "sim-model", "sim-embedding"
MISS, HIT, BYPASS = "fwd=miss", "hit; ttl=", "fwd=bypass; detail=no_store"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FORMAT = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA}}


def tools(*names):
    return [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in names]


# What is asked, and what the provider is told by header.
CHATS = {
    "text": ({}, ""),
    "choices": ({"n": 3}, ""),
    "tools": ({"tools": tools("get_weather", "get_time")}, "tools=2"),
    "choices that call": ({"n": 2, "tools": tools("get_weather")}, "tools=1"),
    "logprobs": ({"logprobs": True, "top_logprobs": 1}, ""),
    "choices with logprobs": ({"n": 2, "logprobs": True}, "unicode=1"),
    "structure": ({"response_format": FORMAT}, ""),
    "thinking": ({"reasoning_effort": "high"}, ""),
    "length": ({"max_tokens": 2}, ""),
    "stop": ({"stop": ["said"]}, ""),
    "characters": ({}, "unicode=1; tokens=40"),
    "long": ({}, "tokens=2000"),
    "cached input": ({}, "cached=1"),
}
COMPLETIONS = {"text": ({}, ""), "length": ({"max_tokens": 2}, ""), "characters": ({}, "unicode=1")}
RESPONSES = {
    "text": ({}, ""),
    "instructions": ({"instructions": "Be brief.", "metadata": {"a": "b"}}, ""),
    "thinking": ({"reasoning": {"effort": "low", "summary": "auto"}}, ""),
    "tools": ({"tools": [{"type": "function", "name": "get_weather", "parameters": SCHEMA, "strict": False}]}, "tools=1"),
    "length": ({"max_output_tokens": 2}, ""),
    "characters": ({}, "unicode=1"),
}
WEATHER = {"name": "get_weather", "description": "weather", "input_schema": SCHEMA}
MESSAGES = {
    "text": ({}, ""),
    "system": ({"system": "Be brief."}, ""),
    "tools": ({"tools": [WEATHER]}, "tools=2"),
    "thinking": ({"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2048}, ""),
    "length": ({"max_tokens": 2}, ""),
    "characters": ({}, "unicode=1"),
    "cached input": ({}, "cached=1"),
}


class Call:
    """One kind of request, by the client's own methods."""

    def __init__(self, method, arguments, sim):
        self.method, self.arguments, self.sim = method, arguments, sim

    def raw(self, expected, more):
        headers = {"x-sim": self.sim, **({"cache-control": "no-store"} if expected == BYPASS else {})}
        raw = self.method.with_raw_response.create(**self.arguments, **more, extra_headers=headers)
        status = raw.headers["cache-status"].removeprefix("llm-gateway; ")
        assert status.startswith(expected), (expected, status, self.arguments)
        return raw.parse()

    def json(self, expected):
        # The client's own types do not know embeddings in base64.
        return self.raw(expected, {}).model_dump(warnings=False)

    def stream(self, expected, **more):
        return list(self.raw(expected, {"stream": True, **more}))


def dump(events):
    return [event.model_dump() for event in events]


def same(one, other):
    """But for what no two answers share."""
    assert without_names(one) == without_names(other), f"\n{without_names(one)}\n{without_names(other)}"


def without_names(value):
    if isinstance(value, dict):
        return {key: without_names(inner) for key, inner in value.items() if key not in NAMES}
    return [without_names(inner) for inner in value] if isinstance(value, list) else value


NAMES = {"id", "call_id", "item_id", "created", "created_at", "completed_at"}


def both_ways(call, total, *options):
    """`call(text)` makes a call of which `total` adds up a stream. `options` are those of streams."""
    first = call("asked as JSON")
    stored = first.json(f"{MISS}; stored")
    assert first.json(HIT) == stored
    fresh = first.json(BYPASS)
    same(stored, fresh)
    for option in options or [{}]:
        events, again = first.stream(HIT, **option), first.stream(HIT, **option)
        assert dump(events) == dump(again)
        assert (whole := total(events)) == expected(stored, whole), f"\n{whole}\n{stored}"
        same(whole, total(first.stream(BYPASS, **option)))

    first = call("asked as a stream")
    for option in options or [{}]:
        # They share an entry.
        refreshed = first.stream(MISS if option == (options or [{}])[0] else HIT, **option)
        served = first.stream(HIT, **option)
        assert dump(refreshed) == dump(served)
        same(total(served), total(first.stream(BYPASS, **option)))
    stored = first.json(HIT)
    assert (whole := total(served)) == expected(stored, whole), f"\n{whole}\n{stored}"
    assert first.json(HIT) == stored
    same(stored, first.json(BYPASS))
    # What was made for one caller is not what the next one gets.
    assert dump(first.stream(HIT, **option)) == dump(served)


def expected(stored, whole):
    """A stream tells its usage only if it was asked to."""
    return untouched(stored if whole.get("usage") else {**stored, "usage": whole.get("usage")})


def chat_total(events):
    state = ChatCompletionStreamState()
    for event in events:
        state.handle_chunk(event)
    return untouched(state.current_completion_snapshot.model_dump())


def untouched(value):
    """Without what the client adds when it adds up, and the empty list that no stream tells of."""
    if isinstance(value, dict):
        added = {"parsed", "parsed_arguments", *(["index"] if "function" in value else [])}
        kept = {key: inner for key, inner in value.items() if key not in added}
        return {key: untouched(inner) for key, inner in kept.items() if key != "annotations" or inner}
    return [untouched(inner) for inner in value] if isinstance(value, list) else value


def completion_total(events):
    whole = events[0].model_dump()
    choice = whole["choices"][0]
    choice["text"] = "".join(one.text for event in events for one in event.choices)
    choice["finish_reason"] = [one.finish_reason for event in events for one in event.choices][-1]
    whole["usage"] = next((event.model_dump()["usage"] for event in events if event.usage), None)
    return untouched(whole)


def response_total(events):
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type in ("response.completed", "response.incomplete"), events[-1]
    said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert said == events[-1].response.output_text
    return untouched(events[-1].response.model_dump())


def message_total(events):
    snapshot, parts = None, {}
    for event in events:
        snapshot = accumulate_event(event=event, current_snapshot=snapshot, json_bufs=parts)
    return untouched(snapshot.model_dump())


def openai_answers(url):
    api = openai.OpenAI(base_url=url + "/v1", api_key="none", max_retries=0, timeout=60)
    usage = [{}, {"stream_options": {"include_usage": True}}, {"stream_options": {"include_usage": False}}]

    def chat(name):
        more, sim = CHATS[name]
        user = lambda text: [{"role": "user", "content": f"{name}: {text}"}]
        return lambda text: Call(api.chat.completions, {"model": CHAT, "messages": user(text), **more}, sim)

    def completion(name):
        more, sim = COMPLETIONS[name]
        return lambda text: Call(api.completions, {"model": CHAT, "prompt": f"{name}: {text}", **more}, sim)

    def response(name):
        more, sim = RESPONSES[name]
        return lambda text: Call(api.responses, {"model": CHAT, "input": f"{name}: {text}", **more}, sim)

    for name in CHATS:
        both_ways(chat(name), chat_total, *usage)
    # Whichever asks first.
    both_ways(lambda text: chat("tools")("usage, " + text), chat_total, *usage[1::-1])
    for name in COMPLETIONS:
        both_ways(completion(name), completion_total, *usage)
    for name in RESPONSES:
        both_ways(response(name), response_total)
    for encoding in ({}, {"encoding_format": "float"}, {"encoding_format": "base64"}):
        call = Call(api.embeddings, {"model": EMBEDDING, "input": ["one", "two"], **encoding}, "")
        # The client asks for base64 unless it is told otherwise.
        stored = call.json(MISS if encoding != {"encoding_format": "base64"} else HIT)
        assert call.json(HIT) == stored == call.json(BYPASS)

    # As most users read them.
    asked = {"model": CHAT, "messages": [{"role": "user", "content": "text: asked as JSON"}]}
    with api.chat.completions.stream(**asked) as stream:
        streamed = stream.get_final_completion()
    plain = api.chat.completions.create(**asked)
    assert streamed.choices[0].message.content == plain.choices[0].message.content
    assert streamed.id == plain.id


def anthropic_answers(url):
    api = anthropic.Anthropic(base_url=url, api_key="none", max_retries=0, timeout=60)

    def message(name):
        more, sim = MESSAGES[name]
        user = lambda text: [{"role": "user", "content": f"{name}: {text}"}]
        return lambda text: Call(
            api.messages, {"model": CHAT, "max_tokens": 500, "messages": user(text), **more}, sim
        )

    for name in MESSAGES:
        both_ways(message(name), message_total)


for answers in [openai_answers, anthropic_answers]:
    answers(sys.argv[1])
    print(f"passed: {answers.__name__}")
