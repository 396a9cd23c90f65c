"""The Ollama client as its users use it. Arguments: base URLs of gateways."""

import sys

import httpx
import ollama

CHAT, EMBEDDING = "sim-model", "sim-embedding"


def client(url, http2, key="key-of-app", **headers):
    headers["authorization"] = f"Bearer {key}"
    return ollama.Client(host=url, headers=headers, http1=not http2, http2=http2, timeout=30)


def user(text):
    return [{"role": "user", "content": text}]


def calls(api):
    answer = api.chat(model=CHAT, messages=user("hello there"))
    assert answer.message.content == "You said: hello there" and answer.done, answer
    assert (answer.prompt_eval_count, answer.eval_count) == (2, 4), answer
    parts = list(api.chat(model=CHAT, messages=user("a stream"), stream=True))
    assert "".join(part.message.content or "" for part in parts) == "You said: a stream"
    assert parts[-1].done and parts[-1].eval_count == 4

    text = api.generate(model=CHAT, prompt="hello")
    assert text.response == "You said: hello" and text.done
    parts = list(api.generate(model=CHAT, prompt="hello", stream=True))
    assert "".join(part.response for part in parts) == "You said: hello"

    both = api.embed(model=EMBEDDING, input=["one", "two"])
    assert len(both.embeddings) == 2 and both.embeddings[0] != both.embeddings[1]
    assert CHAT in [model.model for model in api.list().models]


def tools(api):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    weather = {"type": "function", "function": {"name": "get_weather", "parameters": schema}}
    asked = user("use get_weather for Rome")
    answer = api.chat(model=CHAT, messages=asked, tools=[weather])
    call = answer.message.tool_calls[0].function
    assert call.name == "get_weather" and call.arguments["city"], answer
    result = {"role": "tool", "content": "sunny", "tool_name": "get_weather"}
    final = api.chat(model=CHAT, messages=asked + [answer.message, result], tools=[weather])
    assert final.message.content == "The tool said: sunny", final


def refused(status, call):
    try:
        call()
    except ollama.ResponseError as caught:
        assert caught.status_code == status, (caught.status_code, caught.error)
        # Not the JSON text, which the client shows where it cannot read the error.
        assert caught.error and not caught.error.startswith("{"), caught.error
        return
    raise AssertionError(f"no {status}")


def errors(api, url, http2):
    def chat(api=api, model=CHAT, messages=user("hi"), **more):
        return lambda: list(api.chat(model=model, messages=messages, stream=True, **more))

    refused(400, chat(model="x" * 300))
    refused(401, chat(client(url, http2, "key-of-nobody")))
    refused(403, chat(client(url, http2, "key-of-narrow")))
    refused(404, chat(model="no-such-model"))
    refused(413, chat(messages=user("word " * 60_000)))
    limited = client(url, http2, "key-of-limited")
    refused(429, lambda: [chat(limited)() for _ in range(2)])
    for status, told_as in [(429, 429), (500, 502), (503, 503), (504, 504)]:
        failing = client(url, http2, **{"x-sim": f"status={status}; body=html"})
        refused(told_as, chat(failing))
        refused(told_as, lambda: failing.chat(model=CHAT, messages=user("hi")))
    # A connection that breaks is the transport's own error; a clean end too early would look whole.
    broken = {"end-early=3": ollama.ResponseError, "error-event=3": ollama.ResponseError}
    for controls, error in {"cut=3": httpx.RemoteProtocolError, **broken}.items():
        cut = client(url, http2, **{"x-sim": controls})
        try:
            chat(cut, messages=user("one two three four"))()
            raise AssertionError(f"{controls}: a cut stream looked whole")
        except error as caught:
            assert str(caught), controls


for url in sys.argv[1:]:
    for http2 in [False, True]:
        api = client(url, http2)
        calls(api)
        tools(api)
        errors(api, url, http2)
        print(f"passed: HTTP/{2 if http2 else 1} {url}")
