"""Google's client as its users use it. Arguments: the gateway's base URL, the providers' protocols."""

import json
import sys

from google import genai
from google.genai import errors, types
from pydantic import BaseModel

PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452fbefbe")


def client(key="key-of-app", **headers):
    options = types.HttpOptions(base_url=sys.argv[1], headers=headers, timeout=30_000)
    return genai.Client(api_key=key, vertexai=False, http_options=options)


def chats(api, model):
    answer = api.models.generate_content(model=model, contents="hello there")
    assert answer.text == "You said: hello there", answer
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP, answer
    usage = answer.usage_metadata
    assert usage.prompt_token_count > 0 and usage.candidates_token_count > 0, usage
    assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count, usage

    config = types.GenerateContentConfig(
        system_instruction="Be brief.", temperature=0.5, top_p=0.9, max_output_tokens=256, stop_sequences=["END"]
    )
    parts = list(api.models.generate_content_stream(model=model, contents="a stream", config=config))
    assert "".join(part.text or "" for part in parts) == "You said: a stream", parts
    assert len(parts) > 2 and parts[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert parts[-1].usage_metadata.candidates_token_count > 0, parts[-1]

    chat = api.chats.create(model=model)
    assert chat.send_message("first").text == "You said: first"
    assert "".join(part.text or "" for part in chat.send_message_stream("second")) == "You said: second"
    assert chat.send_message("third").text == "You said: third"


def tools(api, model):
    declared = types.FunctionDeclaration(
        name="get_weather",
        description="The weather of a city",
        parameters=types.Schema(
            type=types.Type.OBJECT,
            properties={"city": types.Schema(type=types.Type.STRING), "day": types.Schema(type=types.Type.STRING, nullable=True)},
            required=["city"],
        ),
    )
    config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[declared])])
    asked = types.Content(role="user", parts=[types.Part(text="use get_weather for Rome")])
    answer = api.models.generate_content(model=model, contents=[asked], config=config)
    call = answer.function_calls[0]
    assert call.name == "get_weather" and call.args["city"], answer
    result = types.Part.from_function_response(name=call.name, response={"result": "sunny"})
    told = [asked, answer.candidates[0].content, types.Content(role="user", parts=[result])]
    final = api.models.generate_content(model=model, contents=told, config=config)
    assert final.text.startswith("The tool said: ") and "sunny" in final.text, final

    # Function calling by the client itself, in several turns.
    def get_weather(city: str) -> str:
        """The weather of a city."""
        return f"sunny in {city}"

    chat = api.chats.create(model=model, config=types.GenerateContentConfig(tools=[get_weather]))
    final = chat.send_message("use get_weather for Rome")
    assert "sunny in" in final.text and len(chat.get_history()) == 4, final
    streamed = list(api.models.generate_content_stream(model=model, contents=[asked], config=config))
    calls = [call for part in streamed for call in part.function_calls or []]
    assert [call.name for call in calls] == ["get_weather"] and calls[0].args["city"], streamed


def images(api, model):
    parts = [types.Part(text="what is this"), types.Part.from_bytes(data=PNG, mime_type="image/png")]
    answer = api.models.generate_content(model=model, contents=types.Content(role="user", parts=parts))
    assert answer.text == "You said: what is this", answer


class City(BaseModel):
    name: str
    inhabitants: int


def structured(api, model):
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=City)
    answer = api.models.generate_content(model=model, contents="a city", config=config)
    assert isinstance(answer.parsed, City), answer
    schema = types.GenerateContentConfig(
        response_mime_type="application/json", response_json_schema=City.model_json_schema()
    )
    answer = api.models.generate_content(model=model, contents="a city", config=schema)
    City.model_validate(json.loads(answer.text))


def embeddings(api, model):
    both = api.models.embed_content(model=model, contents=["one", "two"])
    assert len(both.embeddings) == 2, both
    assert both.embeddings[0].values and both.embeddings[0].values != both.embeddings[1].values


def refused(code, status, call):
    try:
        call()
    except errors.APIError as caught:
        assert (caught.code, caught.status) == (code, status), (caught.code, caught.status, caught)
        kind = errors.ClientError if code < 500 else errors.ServerError
        assert type(caught) is kind and caught.message, caught
        return
    raise AssertionError(f"no {code}")


def wrong(api, model):
    def ask(api=api, model=model, **more):
        return lambda: api.models.generate_content(model=model, contents="hi", **more)

    refused(404, "NOT_FOUND", ask(model="no-such-model"))
    refused(401, "UNAUTHENTICATED", ask(client("key-of-nobody")))
    search = types.GenerateContentConfig(tools=[types.Tool(google_search=types.GoogleSearch())])
    # A tool that the model need not use is left out where only Google has it.
    assert ask(config=search)().text
    nobody = types.Content(role="nobody", parts=[types.Part(text="hi")])
    refused(400, "INVALID_ARGUMENT", lambda: api.models.generate_content(model=model, contents=nobody))
    limited = client("key-of-limited")
    refused(429, "RESOURCE_EXHAUSTED", lambda: [ask(limited)() for _ in range(2)])
    for status, code, name in [
        (429, 429, "RESOURCE_EXHAUSTED"),
        (500, 502, "INTERNAL"),
        (503, 503, "UNAVAILABLE"),
    ]:
        failing = client(**{"x-sim": f"status={status}; body=html"})
        refused(code, name, ask(failing))
        refused(code, name, lambda: list(failing.models.generate_content_stream(model=model, contents="hi")))
    # A stream that ends too early must not look whole.
    for controls in ["end-early=5", "error-event=5"]:
        cut = client(**{"x-sim": controls})
        came = []
        try:
            for part in cut.models.generate_content_stream(model=model, contents="one two three four"):
                came.append(part)
            raise AssertionError(f"{controls}: a cut stream looked whole: {came}")
        except errors.APIError as caught:
            assert came and caught.code >= 500, (controls, came, caught)


api = client()
listed = [model.name for model in api.models.list()]
for protocol in sys.argv[2:]:
    print("asking", protocol, file=sys.stderr)
    model = f"by-{protocol}"
    assert f"models/{model}" in listed, listed
    assert api.models.get(model=model).name == f"models/{model}"
    chats(api, model)
    tools(api, model)
    images(api, model)
    structured(api, model)
    if protocol != "anthropic":
        # Its client takes a name with "gemini" in it for a model that puts all texts into one.
        embeddings(api, f"embed-{protocol[:3]}")
    wrong(api, model)
    print(f"passed: {protocol}")
