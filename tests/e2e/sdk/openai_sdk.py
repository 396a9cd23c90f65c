"""The OpenAI client as its users use it. Arguments: base URLs of gateways."""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai

CHAT, EMBEDDING = "sim-model", "sim-embedding"


def client(url, http2, key="key-of-app", max_retries=0):
    transport = httpx.Client(http1=not http2, http2=http2, timeout=30)
    return openai.OpenAI(base_url=url + "/v1", api_key=key, max_retries=max_retries, http_client=transport)


def user(text):
    return [{"role": "user", "content": text}]


def told(controls):
    return {"x-sim": controls}


def chats(api, threads):
    answer = api.chat.completions.create(model=CHAT, messages=user("hello there"))
    assert answer.choices[0].message.content == "You said: hello there", answer
    assert answer.choices[0].finish_reason == "stop" and answer.object == "chat.completion"
    assert answer.usage.total_tokens == 2 + 4, answer.usage
    raw = api.chat.completions.with_raw_response.create(model=CHAT, messages=user("hello there"))
    assert raw.headers["x-request-id"] and raw.parse().choices
    named = api.chat.completions.create(model="swift", messages=user("by another name"))
    assert named.choices[0].message.content == "You said: by another name"

    def ask(number):
        answer = api.chat.completions.create(model=CHAT, messages=user(f"number {number}"))
        return answer.choices[0].message.content

    with ThreadPoolExecutor(threads) as pool:
        answers = list(pool.map(ask, range(32)))
    assert answers == [f"You said: number {number}" for number in range(32)], answers


def streams(api):
    events = list(api.chat.completions.create(model=CHAT, messages=user("a stream"), stream=True))
    assert "".join(event.choices[0].delta.content or "" for event in events) == "You said: a stream"
    assert all(event.usage is None for event in events)
    assert events[-1].choices[0].finish_reason == "stop"

    options = {"include_usage": True}
    events = list(
        api.chat.completions.create(model=CHAT, messages=user("a stream"), stream=True, stream_options=options)
    )
    assert not events[-1].choices and events[-1].usage.total_tokens == 2 + 4, events[-1]

    began = time.monotonic()
    slow = api.chat.completions.create(
        model=CHAT, messages=user("slow"), stream=True, extra_headers=told("pause=300")
    )
    next(iter(slow))
    first = time.monotonic() - began
    list(slow)
    assert first < (time.monotonic() - began) / 2, "the stream came at once"


def tools(api):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    weather = {"type": "function", "function": {"name": "get_weather", "parameters": schema}}
    asked = user("use get_weather for Rome")
    answer = api.chat.completions.create(model=CHAT, messages=asked, tools=[weather])
    message = answer.choices[0].message
    assert answer.choices[0].finish_reason == "tool_calls" and message.content is None
    call = message.tool_calls[0]
    assert call.function.name == "get_weather" and "city" in json.loads(call.function.arguments)
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    told_back = asked + [message.model_dump(exclude_none=True), result]
    final = api.chat.completions.create(model=CHAT, messages=told_back, tools=[weather])
    assert final.choices[0].message.content == "The tool said: sunny", final

    with api.chat.completions.stream(model=CHAT, messages=asked, tools=[weather]) as stream:
        streamed = stream.get_final_completion()
    again = streamed.choices[0].message.tool_calls[0].function
    assert (again.name, again.arguments) == (call.function.name, call.function.arguments)


def other_calls(api):
    both = api.embeddings.create(model=EMBEDDING, input=["one", "two"])
    assert len(both.data) == 2 and isinstance(both.data[0].embedding[0], float)
    assert both.data[0].embedding != both.data[1].embedding and both.usage.prompt_tokens == 2
    plain = api.embeddings.create(model=EMBEDDING, input="one", encoding_format="float")
    pairs = zip(plain.data[0].embedding, both.data[0].embedding)
    assert all(abs(one - two) < 1e-6 for one, two in pairs)

    text = api.completions.create(model=CHAT, prompt="hello")
    assert text.choices[0].text == "You said: hello" and text.usage.completion_tokens == 3
    assert len(list(api.completions.create(model=CHAT, prompt="hello", stream=True))) > 2

    response = api.responses.create(model=CHAT, input="hello")
    assert response.output_text == "You said: hello" and response.usage.total_tokens > 0
    with api.responses.stream(model=CHAT, input="hello") as stream:
        assert stream.get_final_response().output_text == "You said: hello"


def models(api):
    ids = [model.id for model in api.models.list()]
    assert CHAT in ids and EMBEDDING in ids and "swift" in ids, ids
    one = api.models.retrieve(CHAT)
    assert (one.id, one.object) == (CHAT, "model")


def refused(error, status, code, call):
    try:
        call()
    except openai.APIStatusError as caught:
        assert type(caught) is error, (type(caught), caught)
        assert (caught.status_code, caught.code) == (status, code), caught
        assert caught.message and caught.type, caught
        assert caught.request_id, "no x-request-id"
        return caught
    raise AssertionError(f"no {status}")


def errors(api, url, http2):
    def chat(api=api, model=CHAT, messages=user("hi"), **more):
        return lambda: api.chat.completions.create(model=model, messages=messages, **more)

    bad = refused(openai.BadRequestError, 400, "invalid_type", chat(messages="no list"))
    assert bad.param == "messages", bad.param
    missing = lambda: api.post("/chat/completions", cast_to=object, body={"model": CHAT})
    assert refused(openai.BadRequestError, 400, "missing_field", missing).param == "messages"

    stranger = client(url, http2, "key-of-nobody")
    refused(openai.AuthenticationError, 401, "invalid_api_key", chat(stranger))
    refused(openai.AuthenticationError, 401, "invalid_api_key", stranger.models.list)

    narrow = client(url, http2, "key-of-narrow")
    refused(openai.PermissionDeniedError, 403, "model_not_allowed", chat(narrow))
    assert [model.id for model in narrow.models.list()] == [EMBEDDING]

    refused(openai.NotFoundError, 404, "model_not_found", chat(model="no-such-model"))
    refused(openai.NotFoundError, 404, "model_not_found", lambda: api.models.retrieve("no-such-model"))
    large = user("word " * 60_000)
    refused(openai.APIStatusError, 413, "request_too_large", chat(messages=large))

    limited = client(url, http2, "key-of-limited")

    def until_refused():
        for _ in range(2):
            chat(limited)()

    limit = refused(openai.RateLimitError, 429, "rate_limit_exceeded", until_refused)
    assert limit.type == "requests" and int(limit.response.headers["retry-after"]) > 0

    for status, told_as, code in [
        (429, 429, "rate_limit_exceeded"),
        (500, 502, "provider_error"),
        (503, 503, "service_unavailable"),
        (504, 504, "timeout"),
    ]:
        error = openai.RateLimitError if status == 429 else openai.InternalServerError
        refused(error, told_as, code, chat(extra_headers=told(f"status={status}; body=html")))
        streamed = chat(extra_headers=told(f"status={status}; body=html"), stream=True)
        refused(error, told_as, code, streamed)

    # A connection that breaks is the transport's own error; a clean end too early would look whole.
    broken = {"cut=3": httpx.RemoteProtocolError, "end-early=3": openai.APIError, "error-event=3": openai.APIError}
    for controls, error in broken.items():
        stream = chat(messages=user("one two three four"), extra_headers=told(controls), stream=True)()
        came = []
        try:
            for event in stream:
                came.append(event.choices[0].delta.content)
            raise AssertionError(f"{controls}: a cut stream looked whole")
        except error as caught:
            assert came and str(caught), (controls, came, caught)


def retries(url, http2):
    """After a 429 the client waits as long as it is told, and succeeds."""
    patient = client(url, http2, max_retries=1)
    began = time.monotonic()
    answer = patient.chat.completions.create(
        model=CHAT, messages=user(f"again {url} {http2}"), extra_headers=told("fail-first=1:429")
    )
    assert answer.choices[0].message.content.startswith("You said: again")
    assert 0.9 < time.monotonic() - began < 15, "it did not wait as it was told"

    # The gateway's own limit: one a second. The client waits as long as it is told.
    soon = client(url, http2, "key-of-soon", max_retries=3)
    for number in range(3):
        answer = soon.chat.completions.create(model=CHAT, messages=user(f"patiently {number}"))
        assert answer.choices[0].message.content == f"You said: patiently {number}", answer


for url in sys.argv[1:]:
    for http2 in [False, True]:
        api = client(url, http2)
        # The synchronous HTTP/2 of httpcore can miss an answer where threads share a connection.
        chats(api, 1 if http2 else 8)
        for topic in [streams, tools, other_calls, models]:
            topic(api)
        errors(api, url, http2)
        retries(url, http2)
        print(f"passed: HTTP/{2 if http2 else 1} {url}")
