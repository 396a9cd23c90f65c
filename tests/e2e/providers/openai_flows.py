"""The OpenAI client against every provider. Arguments: the gateway, the caller's key, the providers."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai

IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}


def user(text):
    return {"role": "user", "content": text}


def told(controls):
    return {"x-sim": controls}


def tools(*names):
    return [
        {"type": "function", "function": {"name": name, "description": f"Tells the {name}.", "parameters": PARAMETERS}}
        for name in names
    ]


def same(found, expected):
    assert found == expected, f"found {found!r}, expected {expected!r}"


# Models whose provider speaks to them in another way than to its first: with signatures of thoughts, with thinking.
OTHERS = {
    "gemini": ("gemini-3-pro", ("chat", "tools", "tools_streamed", "tool_choice_named", "thinking", "choices")),
    "cohere": ("command-a-reasoning-08-2025", ("chat", "tools", "thinking")),
}


class Flows:
    """One method for each feature; `of` is the provider."""

    def __init__(self, api, of):
        self.api, self.of, self.model = api, of, of["chat"]

    def ask(self, *messages, **options):
        return self.api.chat.completions.create(model=self.model, messages=list(messages), **options)

    def stream(self, *messages, **options):
        """The chunks, and what they add up to."""
        chunks = list(self.ask(*messages, stream=True, **options))
        deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
        text = "".join(delta.content or "" for delta in deltas)
        reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
        return chunks, deltas, text, reasons

    def chat(self):
        answer = self.ask(user("hello there"))
        same(answer.choices[0].message.content, "You said: hello there")
        same((answer.object, answer.choices[0].finish_reason, answer.choices[0].index), ("chat.completion", "stop", 0))
        same(answer.model, self.model)
        assert answer.id and answer.created > 0, answer
        same((answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens), (2, 4, 6))
        raw = self.api.chat.completions.with_raw_response.create(model=self.model, messages=[user("x")])
        assert raw.headers["x-request-id"] and raw.headers["content-type"].startswith("application/json")

    def system(self):
        messages = ({"role": "system", "content": "be brief"}, {"role": "developer", "content": "say so"})
        answer = self.ask(*messages, user("hello"), {"role": "assistant", "content": "yes"}, user("again please"))
        same(answer.choices[0].message.content, "You said: again please")
        # The words of all turns reach the model.
        same(answer.usage.prompt_tokens, 4 + 1 + 1 + 2)
        late = self.ask(user("hello"), {"role": "assistant", "content": "yes"}, messages[0], user("more"))
        same((late.choices[0].message.content, late.usage.prompt_tokens), ("You said: more", 5))
        assert self.ask(messages[0]).choices[0].message.content

    def parts(self):
        content = [{"type": "text", "text": "first words"}, {"type": "text", "text": "and more"}]
        answer = self.ask({"role": "user", "content": content, "name": "someone"})
        same(answer.usage.prompt_tokens, 4)
        assert "and more" in answer.choices[0].message.content, answer

    def unicode(self):
        answer = self.ask(user("né 世界 🦀"), extra_headers=told("unicode=1"))
        _, _, text, _ = self.stream(user("né 世界 🦀"), extra_headers=told("unicode=1; split=3"))
        assert "𝄞" in text and "🦀" in text
        same(answer.choices[0].message.content, text)

    def stop(self):
        for stop in (" there", [" there", " nowhere"]):
            answer = self.ask(user("hello there"), stop=stop)
            same((answer.choices[0].message.content, answer.choices[0].finish_reason), ("You said: hello", "stop"))
            _, _, text, reasons = self.stream(user("hello there"), stop=stop)
            same((text, reasons), ("You said: hello", ["stop"]))

    def limits(self):
        for limit in ({"max_tokens": 2}, {"max_completion_tokens": 2}):
            answer = self.ask(user("hello there"), **limit)
            same((answer.choices[0].message.content, answer.choices[0].finish_reason), ("You said:", "length"))
            _, _, text, reasons = self.stream(user("hello there"), **limit)
            same((text, reasons), ("You said:", ["length"]))

    def sampling(self):
        for options in (
            {"temperature": 0.2},
            {"temperature": 1.5},
            {"top_p": 0.9},
            {"top_p": 1},
            {"top_p": 0},
            {"temperature": 0, "seed": 7, "presence_penalty": 0.5, "frequency_penalty": 0.5},
            {"presence_penalty": -1.5, "frequency_penalty": 2, "user": "someone", "parallel_tool_calls": None},
        ):
            answer = self.ask(user("hello"), **options)
            same(answer.choices[0].message.content, "You said: hello")

    def streaming(self):
        chunks, deltas, text, reasons = self.stream(user("a stream"))
        same((text, reasons), ("You said: a stream", ["stop"]))
        same(deltas[0].role, "assistant")
        assert len({chunk.id for chunk in chunks if chunk.choices}) == 1
        assert all(chunk.usage is None for chunk in chunks), "nobody asked"
        chunks, _, _, _ = self.stream(user("a stream"), stream_options={"include_usage": True})
        same((chunks[-1].choices, chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens), ([], 2, 4))
        for controls in ("split=1", "split=7; crlf=crlf; comments=1"):
            _, _, split, _ = self.stream(user("a stream"), extra_headers=told(controls))
            same(split, text)

    def cached(self):
        answer = self.ask(user("one two three"), extra_headers=told("cached=2"))
        if self.of["name"] not in ("ollama",):
            same(answer.usage.prompt_tokens_details.cached_tokens, 2)
        same(answer.usage.prompt_tokens, 3)

    def tools(self):
        given = tools("weather", "time")
        answer = self.ask(user("call weather and time"), tools=given, tool_choice="auto")
        choice = answer.choices[0]
        same((choice.finish_reason, [call.function.name for call in choice.message.tool_calls]), ("tool_calls", ["weather", "time"]))
        assert len({call.id for call in choice.message.tool_calls}) == 2
        for call in choice.message.tool_calls:
            same(json.loads(call.function.arguments), {"city": "call weather and time", "days": 4})
        messages = [user("call weather and time"), choice.message]
        for call, text in zip(choice.message.tool_calls, ("20 C", "noon")):
            messages.append({"role": "tool", "tool_call_id": call.id, "content": text})
        second = self.ask(*messages, tools=given)
        same((second.choices[0].message.content, second.choices[0].finish_reason), ("The tool said: 20 C noon", "stop"))

        # A third turn, whose call is forced by the words, after the answer of the second.
        messages += [second.choices[0].message, user("call time")]
        third = self.ask(*messages, tools=given).choices[0].message
        same([call.function.name for call in third.tool_calls], ["time"])
        part = [{"type": "text", "text": "later"}]
        messages += [third, {"role": "tool", "tool_call_id": third.tool_calls[0].id, "content": part}]
        same(self.ask(*messages, tools=given).choices[0].message.content, "The tool said: later")

    def tools_streamed(self):
        given = tools("weather", "time")
        _, deltas, text, reasons = self.stream(user("call weather and time"), tools=given)
        same((text, reasons), ("", ["tool_calls"]))
        calls = {}
        for piece in (piece for delta in deltas for piece in delta.tool_calls or []):
            call = calls.setdefault(piece.index, {"id": "", "name": "", "arguments": ""})
            call["id"] += piece.id or ""
            call["name"] += piece.function.name or ""
            call["arguments"] += piece.function.arguments or ""
        same([calls[index]["name"] for index in sorted(calls)], ["weather", "time"])
        for call in calls.values():
            same(json.loads(call["arguments"]), {"city": "call weather and time", "days": 4})
        with self.api.chat.completions.stream(model=self.model, messages=[user("call time")], tools=given) as stream:
            final = stream.get_final_completion()
        same(final.choices[0].message.tool_calls[0].function.name, "time")

    def tools_without_arguments(self):
        bare = [{"type": "function", "function": {"name": "now"}}]
        for parameters in (None, {}, {"type": "object", "properties": {}}):
            if parameters is not None:
                bare[0]["function"]["parameters"] = parameters
            call = self.ask(user("now"), tools=bare).choices[0].message.tool_calls[0]
            same((call.function.name, json.loads(call.function.arguments)), ("now", {}))

    def tool_choice_required(self):
        answer = self.ask(user("hello"), tools=tools("weather", "time"), tool_choice="required")
        same([call.function.name for call in answer.choices[0].message.tool_calls], ["weather"])

    def tool_choice_named(self):
        named = {"type": "function", "function": {"name": "time"}}
        answer = self.ask(user("hello"), tools=tools("weather", "time"), tool_choice=named)
        same([call.function.name for call in answer.choices[0].message.tool_calls], ["time"])

    def tool_choice_none(self):
        answer = self.ask(user("call weather"), tools=tools("weather"), tool_choice="none")
        same(answer.choices[0].message.content, "You said: call weather")
        call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
        self.ask(
            user("x"),
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "20 C"},
            user("again"),
            tools=tools("weather"),
            tool_choice="none",
        )

    def image(self, url):
        parts = [{"type": "text", "text": "what is this"}, {"type": "image_url", "image_url": {"url": url}}]
        answer = self.ask({"role": "user", "content": parts})
        same((answer.choices[0].message.content, answer.usage.prompt_tokens), ("You said: what is this", 4))

    def image_data(self):
        self.image(f"data:image/png;base64,{IMAGE}")

    def image_link(self):
        self.image("https://example.com/picture.png")

    def json_schema(self):
        schema = {"name": "place", "strict": True, "schema": PARAMETERS}
        options = {"response_format": {"type": "json_schema", "json_schema": schema}}
        answer = self.ask(user("Rome"), **options)
        same(json.loads(answer.choices[0].message.content), {"city": "Rome", "days": 1})
        _, _, text, _ = self.stream(user("Rome"), **options)
        same(json.loads(text), {"city": "Rome", "days": 1})

    def thinking(self):
        answer = self.ask(user("think of it"), reasoning_effort="low")
        same(answer.choices[0].message.content, "You said: think of it")
        _, deltas, text, _ = self.stream(user("think of it"), reasoning_effort="low")
        same(text, "You said: think of it")
        whole = getattr(answer.choices[0].message, "reasoning_content", None)
        pieces = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
        shown = "The user wrote 3 words." if self.of["thinking"] == "shown" else ""
        same((whole or "", pieces), (shown, shown))
        raw = self.api.chat.completions.with_raw_response.create(
            model=self.model, messages=[user("x")], reasoning_effort="low"
        )
        same("reasoning_effort" in raw.headers.get("warning", ""), self.of["thinking"] == "asked")

    def choices(self):
        answer = self.ask(user("hello"), n=2)
        texts = [choice.message.content for choice in answer.choices]
        same(texts, ["You said: hello", "You said: hello (choice 1)"])

    def logprobs(self):
        answer = self.ask(user("hello"), logprobs=True, top_logprobs=1)
        assert answer.choices[0].logprobs.content[0].top_logprobs, answer

    def completions(self):
        answer = self.api.completions.create(model=self.model, prompt="hello")
        same(answer.choices[0].text, "You said: hello")

    def embeddings(self):
        options = {"encoding_format": "float"}
        two = self.api.embeddings.create(model=self.of["embedding"], input=["one two", "three"], **options)
        assert two.usage.prompt_tokens > 0
        same((two.object, [item.index for item in two.data]), ("list", [0, 1]))
        one = self.api.embeddings.create(model=self.of["embedding"], input="three", **options)
        same(one.data[0].embedding, two.data[1].embedding)
        assert len(one.data[0].embedding) >= 64 and two.data[0].embedding != two.data[1].embedding
        same(one.model, self.of["embedding"] if self.of["name"] not in ("openai", "azure") else one.model)

    def embeddings_base64(self):
        # The client asks for base64 where nobody says otherwise.
        options = {"dimensions": 256}
        packed = self.api.embeddings.create(model=self.of["embedding"], input="three", **options).data[0].embedding
        plain = self.api.embeddings.create(model=self.of["embedding"], input="three", encoding_format="float", **options)
        assert len(packed) == 256
        assert all(abs(a - b) < 1e-6 for a, b in zip(packed, plain.data[0].embedding))

    def responses(self):
        answer = self.api.responses.create(model=self.model, instructions="be brief", input="hello there")
        same((answer.output_text, answer.status), ("You said: hello there", "completed"))
        same((answer.usage.input_tokens, answer.usage.output_tokens), (4, 4))
        events = list(self.api.responses.create(model=self.model, input="hello there", stream=True))
        same((events[0].type, events[-1].type), ("response.created", "response.completed"))
        same("".join(event.delta for event in events if event.type == "response.output_text.delta"), "You said: hello there")
        given = [{"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": False}]
        called = self.api.responses.create(model=self.model, input="call weather", tools=given)
        call = next(item for item in called.output if item.type == "function_call")
        turns = [user("call weather"), *called.output]
        turns.append({"type": "function_call_output", "call_id": call.call_id, "output": "20 C"})
        same(self.api.responses.create(model=self.model, input=turns, tools=given).output_text, "The tool said: 20 C")

    def refusals(self):
        for status, error in (
            (400, openai.BadRequestError),
            (429, openai.RateLimitError),
            (500, openai.InternalServerError),
            (503, openai.InternalServerError),
        ):
            for stream in (False, True):
                try:
                    self.ask(user("x"), stream=stream, extra_headers=told(f"status={status}"))
                except openai.APIStatusError as caught:
                    assert type(caught) is error, (status, caught)
                    assert caught.body and caught.body["message"] and caught.body["type"], caught.body
                    assert caught.request_id
                else:
                    raise AssertionError(f"{status} was no error")
        try:
            self.api.chat.completions.create(model=self.of["gone"], messages=[user("x")])
        except openai.APIStatusError as caught:
            # Bedrock has no other word for it than that the request is wrong.
            expected = openai.BadRequestError if self.of["name"] == "bedrock" else openai.NotFoundError
            assert type(caught) is expected, caught
        else:
            raise AssertionError("a model that is gone")

    def broken_streams(self):
        # Where the connection breaks, so does the caller's.
        broken = (openai.APIError, httpx.TransportError)
        for controls, expected in (("error-event=3", openai.APIError), ("end-early=3", openai.APIError), ("cut=3", broken)):
            said = ""
            try:
                for chunk in self.ask(user("one two three"), stream=True, extra_headers=told(controls)):
                    said += chunk.choices[0].delta.content or "" if chunk.choices else ""
            except expected:
                assert "three" not in said, said
            else:
                raise AssertionError(f"{controls}: the stream ended well with {said!r}")


FEATURES = [name for name, flow in vars(Flows).items() if not name.startswith("_")]
FEATURES = [name for name in FEATURES if name not in ("ask", "stream", "image")]


def one_text(api):
    """Amazon's own model embeds one text at a time."""
    titan = {"model": "amazon.titan-embed-text-v2:0", "dimensions": 256}
    assert len(api.embeddings.create(input="one", **titan).data[0].embedding) == 256
    try:
        api.embeddings.create(input=["one", "two"], **titan)
    except openai.BadRequestError as error:
        same(error.param, "input")
    else:
        raise AssertionError("two texts were embedded")


def run(of):
    with httpx.Client(timeout=60) as transport:
        api = openai.OpenAI(base_url=url + "/v1", api_key=key, max_retries=0, http_client=transport)
        flows = Flows(api, of)
        for feature in FEATURES:
            refused = of["cannot"].get(feature)
            try:
                getattr(flows, feature)()
            except openai.BadRequestError as error:
                if refused is None:
                    raise AssertionError(f"{of['name']}: {feature}: {error}") from error
                same(error.code in ("unsupported_parameter", "unsupported_value", "unsupported_capability"), True)
                assert refused in (error.param or ""), f"{of['name']}: {feature}: {error.body}"
            except Exception as error:
                raise AssertionError(f"{of['name']}: {feature}: {error!r}") from error
            else:
                assert refused is None, f"{of['name']} can {feature}: the table says it cannot"
        if of["name"] in OTHERS:
            model, features = OTHERS[of["name"]]
            others = Flows(api, {**of, "chat": model, "thinking": "shown"})
            for feature in features:
                getattr(others, feature)()
        if of["name"] == "bedrock":
            one_text(api)


url, key, providers = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
with ThreadPoolExecutor(4) as pool:
    runs = {of["name"]: pool.submit(run, of) for of in providers}
failed = [str(done.exception()) for done in runs.values() if done.exception()]
for name, done in runs.items():
    if not done.exception():
        print(f"passed: {name}")
if failed:
    sys.exit("\n".join(failed))
