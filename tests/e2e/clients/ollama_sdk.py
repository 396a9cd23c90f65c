"""The Ollama client at providers that are none. Arguments: the gateway's base URL, the providers' protocols."""

import base64
import json
import sys

import ollama

PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452fbefbe")


def client(key="key-of-app", **headers):
    headers["authorization"] = f"Bearer {key}"
    return ollama.Client(host=sys.argv[1], headers=headers, timeout=30)


def user(text, **more):
    return [{"role": "user", "content": text, **more}]


def chats(api, model):
    answer = api.chat(model=model, messages=user("hello there"), options={"temperature": 0.5, "num_predict": 256})
    assert answer.message.content == "You said: hello there" and answer.done, answer
    assert answer.done_reason == "stop" and answer.model, answer
    assert answer.prompt_eval_count > 0 and answer.eval_count > 0, answer
    # An Ollama itself tells what it likes of durations.
    assert answer.created_at and answer.total_duration is not None, answer
    parts = list(api.chat(model=model, messages=user("a stream"), stream=True))
    assert "".join(part.message.content or "" for part in parts) == "You said: a stream", parts
    assert len(parts) > 2 and [part.done for part in parts[:-1]] == [False] * (len(parts) - 1), parts
    assert parts[-1].done and parts[-1].eval_count > 0 and parts[-1].total_duration > 0, parts[-1]

    text = api.generate(model=model, prompt="hello", system="Be brief.")
    assert text.response == "You said: hello" and text.done, text
    parts = list(api.generate(model=model, prompt="hello", stream=True))
    assert "".join(part.response for part in parts) == "You said: hello" and parts[-1].done


def tools(api, model):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    weather = {"type": "function", "function": {"name": "get_weather", "parameters": schema}}
    asked = user("use get_weather for Rome")
    answer = api.chat(model=model, messages=asked, tools=[weather])
    call = answer.message.tool_calls[0].function
    assert call.name == "get_weather" and call.arguments["city"], answer
    result = {"role": "tool", "content": "sunny", "tool_name": "get_weather"}
    final = api.chat(model=model, messages=asked + [answer.message, result], tools=[weather])
    assert final.message.content.startswith("The tool said: ") and "sunny" in final.message.content, final
    again = asked + [answer.message, result, final.message] + user("thanks")
    assert api.chat(model=model, messages=again, tools=[weather]).message.content == "You said: thanks"
    parts = list(api.chat(model=model, messages=asked, tools=[weather], stream=True))
    calls = [call.function for part in parts for call in part.message.tool_calls or []]
    assert [call.name for call in calls] == ["get_weather"] and calls[0].arguments["city"], parts


def others(api, model):
    image = base64.b64encode(PNG).decode()
    answer = api.chat(model=model, messages=user("what is this", images=[image]))
    assert answer.message.content == "You said: what is this", answer
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "inhabitants": {"type": "integer"}},
        "required": ["name", "inhabitants"],
    }
    answer = api.chat(model=model, messages=user("a city"), format=schema)
    city = json.loads(answer.message.content)
    assert isinstance(city["name"], str) and isinstance(city["inhabitants"], int), city


def embeddings(api, model):
    both = api.embed(model=model, input=["one", "two"])
    assert len(both.embeddings) == 2 and both.embeddings[0] != both.embeddings[1], both
    assert len(api.embed(model=model, input="one").embeddings) == 1


def refused(status, call):
    try:
        call()
    except ollama.ResponseError as caught:
        assert caught.status_code == status, (caught.status_code, caught.error)
        # Not the JSON text, which the client shows where it cannot read the error.
        assert caught.error and not caught.error.startswith("{"), caught.error
        return
    raise AssertionError(f"no {status}")


def wrong(api, model):
    def chat(api=api, model=model, **more):
        return lambda: list(api.chat(model=model, messages=user("hi"), stream=True, **more))

    refused(404, chat(model="no-such-model"))
    refused(401, chat(client("key-of-nobody")))
    if not model.endswith("ollama"):
        strange = base64.b64encode(b"no image").decode()
        refused(400, lambda: api.chat(model=model, messages=user("hi", images=[strange])))
    limited = client("key-of-limited")
    refused(429, lambda: [chat(limited)() for _ in range(2)])
    for status, told_as in [(429, 429), (500, 502), (503, 503)]:
        failing = client(**{"x-sim": f"status={status}; body=html"})
        refused(told_as, chat(failing))
        refused(told_as, lambda: failing.chat(model=model, messages=user("hi")))
    # A stream that ends too early must not look whole.
    for controls in ["end-early=5", "error-event=5"]:
        came = []
        try:
            for part in client(**{"x-sim": controls}).chat(model=model, messages=user("one two three four"), stream=True):
                came.append(part)
            raise AssertionError(f"{controls}: a cut stream looked whole")
        except ollama.ResponseError as caught:
            assert came and caught.error, (controls, came, caught)


api = client()
listed = [model.model for model in api.list().models]
for protocol in sys.argv[2:]:
    print("asking", protocol, file=sys.stderr)
    model = f"by-{protocol}"
    assert model in listed, listed
    chats(api, model)
    tools(api, model)
    others(api, model)
    if protocol != "anthropic":
        embeddings(api, f"embed-{protocol[:3]}")
    wrong(api, model)
    print(f"passed: {protocol}")
