"""The Anthropic client as its users use it. Arguments: base URLs of gateways."""

import sys

import anthropic
import httpx2

CHAT = "sim-model"


def client(url, http2, key="key-of-app"):
    transport = httpx2.Client(http1=not http2, http2=http2, timeout=30)
    return anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, http_client=transport)


def user(text):
    return [{"role": "user", "content": text}]


def told(controls):
    return {"x-sim": controls}


def messages(api):
    answer = api.messages.create(model=CHAT, max_tokens=50, messages=user("hello there"))
    assert answer.content[0].text == "You said: hello there", answer
    assert (answer.type, answer.role, answer.stop_reason) == ("message", "assistant", "end_turn")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (2, 4), answer.usage
    cut = api.messages.create(model=CHAT, max_tokens=2, messages=user("hello there"))
    assert cut.stop_reason == "max_tokens"


def streams(api):
    with api.messages.stream(model=CHAT, max_tokens=50, messages=user("a stream")) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == final.content[0].text == "You said: a stream"
    assert (final.usage.input_tokens, final.usage.output_tokens) == (2, 4), final.usage


def tools(api):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    weather = {"name": "get_weather", "description": "weather", "input_schema": schema}
    asked = user("use get_weather for Rome")
    answer = api.messages.create(model=CHAT, max_tokens=99, messages=asked, tools=[weather])
    call = next(block for block in answer.content if block.type == "tool_use")
    assert answer.stop_reason == "tool_use" and call.name == "get_weather" and call.input["city"]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
    content = [block.model_dump(exclude_none=True) for block in answer.content]
    told_back = asked + [{"role": "assistant", "content": content}, {"role": "user", "content": [result]}]
    final = api.messages.create(model=CHAT, max_tokens=99, messages=told_back, tools=[weather])
    assert final.content[0].text == "The tool said: sunny", final
    with api.messages.stream(model=CHAT, max_tokens=99, messages=asked, tools=[weather]) as stream:
        streamed = stream.get_final_message()
    again = next(block for block in streamed.content if block.type == "tool_use")
    assert (again.name, again.input) == (call.name, call.input)


def models(api):
    listed = api.models.list()
    assert CHAT in [model.id for model in listed.data] and not listed.has_more
    one = api.models.retrieve(CHAT)
    assert (one.id, one.type) == (CHAT, "model") and one.display_name


def refused(error, status, kind, call):
    try:
        call()
    except anthropic.APIStatusError as caught:
        assert type(caught) is error, (type(caught), caught)
        assert (caught.status_code, caught.type) == (status, kind), caught
        assert caught.body["type"] == "error" and caught.body["request_id"], caught.body
        assert caught.body["error"]["message"]
        return
    raise AssertionError(f"no {status}")


def errors(api, url, http2):
    def chat(api=api, model=CHAT, messages=user("hi"), **more):
        return lambda: api.messages.create(model=model, max_tokens=50, messages=messages, **more)

    refused(anthropic.BadRequestError, 400, "invalid_request_error", chat(messages="no list"))
    stranger = client(url, http2, "key-of-nobody")
    refused(anthropic.AuthenticationError, 401, "authentication_error", chat(stranger))
    narrow = client(url, http2, "key-of-narrow")
    refused(anthropic.PermissionDeniedError, 403, "permission_error", chat(narrow))
    refused(anthropic.NotFoundError, 404, "not_found_error", chat(model="no-such-model"))
    refused(anthropic.NotFoundError, 404, "not_found_error", lambda: api.models.retrieve("no-such-model"))
    large = chat(messages=user("word " * 60_000))
    refused(anthropic.ContentTooLargeError, 413, "request_too_large", large)

    limited = client(url, http2, "key-of-limited")

    def until_refused():
        for _ in range(2):
            chat(limited)()

    refused(anthropic.RateLimitError, 429, "rate_limit_error", until_refused)
    for status, told_as, error, kind in [
        (429, 429, anthropic.RateLimitError, "rate_limit_error"),
        (500, 502, anthropic.InternalServerError, "api_error"),
        (503, 503, anthropic.ServiceUnavailableError, "overloaded_error"),
        (504, 504, anthropic.GatewayTimeoutError, "timeout_error"),
    ]:
        for more in [{}, {"stream": True}]:
            failing = chat(extra_headers=told(f"status={status}; body=html"), **more)
            refused(error, told_as, kind, failing)

    # A connection that breaks is the transport's own error; a clean end too early would look whole.
    broken = {"end-early=4": anthropic.APIStatusError, "error-event=4": anthropic.APIStatusError}
    for controls, error in {"cut=4": httpx2.RemoteProtocolError, **broken}.items():
        stream = chat(messages=user("one two three four"), extra_headers=told(controls), stream=True)()
        came = []
        try:
            for event in stream:
                came.append(event.type)
            raise AssertionError(f"{controls}: a cut stream looked whole")
        except error as caught:
            assert came and str(caught), (controls, came, caught)
            assert "cut" in controls or caught.body["type"] == "error", caught.body


for url in sys.argv[1:]:
    for http2 in [False, True]:
        api = client(url, http2)
        for topic in [messages, streams, tools, models]:
            topic(api)
        errors(api, url, http2)
        print(f"passed: HTTP/{2 if http2 else 1} {url}")
