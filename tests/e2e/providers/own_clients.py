"""The providers' own clients at the model server itself: what they read and refuse, the server has to say as their
providers do. Argument: the server's URL."""

import json
import sys

import boto3
import cohere
import openai
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError
from cohere.core.api_error import ApiError
from google import genai
from google.genai import errors, types

URL = sys.argv[1]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def raises(kind, call):
    try:
        call()
    except kind as caught:
        return caught
    raise AssertionError(f"no {kind.__name__}")


def cohere_v2():
    api = cohere.ClientV2(api_key="key", base_url=URL, timeout=60)
    turn = {"role": "user", "content": "call weather"}
    given = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
    called = api.chat(model="command-a", messages=[turn], tools=given)
    call = called.message.tool_calls[0]
    assert (called.finish_reason, call.function.name) == ("TOOL_CALL", "weather"), called
    assert json.loads(call.function.arguments) == {"city": "call weather"} and called.message.tool_plan
    result = {"role": "tool", "tool_call_id": call.id, "content": "20 C"}
    ended = api.chat(model="command-a", messages=[turn, called.message, result], tools=given)
    assert ended.message.content[0].text == "The tool said: 20 C", ended
    assert ended.usage.tokens.output_tokens == 5, ended.usage

    kinds = [event.type for event in api.chat_stream(model="command-a", messages=[turn], tools=given)]
    assert kinds[0] == "message-start" and kinds[-1] == "message-end" and "tool-call-delta" in kinds, kinds
    said = api.chat_stream(model="command-a", messages=[{"role": "user", "content": "hello"}])
    pieces = [event.delta.message.content.text for event in said if event.type == "content-delta"]
    assert "".join(pieces) == "You said: hello", pieces

    options = {"input_type": "search_document", "embedding_types": ["float"]}
    embedded = api.embed(model="embed-v4.0", texts=["one", "two"], **options)
    assert len(embedded.embeddings.float_) == 2 and embedded.meta.billed_units.input_tokens == 2, embedded.meta
    refused = raises(ApiError, lambda: api.chat(model="command-a", messages=[result]))
    assert refused.status_code == 400 and "not found" in refused.body["message"], refused


def bedrock():
    settings = Config(retries={"max_attempts": 1}, proxies={})
    keys = {"aws_access_key_id": "AKID", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    api = boto3.client("bedrock-runtime", endpoint_url=URL, config=settings, **keys)
    model = {"modelId": "anthropic.claude-sonnet-4-5-20250929-v1:0"}
    turn = {"role": "user", "content": [{"text": "call weather"}]}
    given = {"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": SCHEMA}}}]}
    called = api.converse(**model, messages=[turn], toolConfig=given)
    message = called["output"]["message"]
    use = message["content"][0]["toolUse"]
    assert called["stopReason"] == "tool_use" and use["input"] == {"city": "call weather"}, called
    result = {"toolResult": {"toolUseId": use["toolUseId"], "content": [{"text": "20 C"}]}}
    turns = [turn, message, {"role": "user", "content": [result]}]
    ended = api.converse(**model, messages=turns, toolConfig=given)
    assert ended["output"]["message"]["content"] == [{"text": "The tool said: 20 C"}], ended
    assert ended["usage"]["outputTokens"] == 5 and ended["metrics"]["latencyMs"] >= 0

    # Its client checks every checksum.
    stream = list(api.converse_stream(**model, messages=turns, toolConfig=given)["stream"])
    text = "".join(event["contentBlockDelta"]["delta"]["text"] for event in stream if "contentBlockDelta" in event)
    assert text == "The tool said: 20 C" and stream[-1]["metadata"]["usage"]["outputTokens"] == 5, stream
    failing = boto3.client("bedrock-runtime", endpoint_url=URL, config=settings, **keys)
    failing.meta.events.register("before-sign.*.*", lambda request, **_: request.headers.add_header("x-sim", "error-event=2"))
    broken = failing.converse_stream(**model, messages=[turn])["stream"]
    assert "internalServerException" in str(raises(EventStreamError, lambda: list(broken)))

    blank = {"role": "user", "content": [{"text": " "}]}
    refused = raises(ClientError, lambda: api.converse(**model, messages=[blank]))
    assert refused.response["Error"]["Code"] == "ValidationException", refused
    body = json.dumps({"inputText": "one two", "dimensions": 256})
    titan = api.invoke_model(modelId="amazon.titan-embed-text-v2:0", body=body)
    assert len(json.loads(titan["body"].read())["embedding"]) == 256


def gemini():
    api = genai.Client(api_key="key", vertexai=False, http_options=types.HttpOptions(base_url=URL, timeout=60_000))
    thinking = {"thinking_config": {"include_thoughts": True, "thinking_level": "LOW"}}
    answer = api.models.generate_content(model="gemini-3-pro", contents="hello there", config=thinking)
    assert answer.text == "You said: hello there" and answer.usage_metadata.thoughts_token_count == 5, answer
    parts = list(api.models.generate_content_stream(model="gemini-3-pro", contents="hello there", config=thinking))
    assert "".join(part.text or "" for part in parts) == answer.text, parts
    assert parts[-1].usage_metadata.total_token_count == answer.usage_metadata.total_token_count

    def weather(city: str) -> str:
        """The weather of a city."""
        return f"20 C in {city}"

    # Its client calls the function, and sends the signature back without which the server refuses.
    chat = api.chats.create(model="gemini-3-pro", config={"tools": [weather]})
    assert chat.send_message("call weather").text == "The tool said: 20 C in call weather"
    assert api.models.count_tokens(model="gemini-3-pro", contents="one two").total_tokens == 2
    assert len(api.models.embed_content(model="gemini-embedding-001", contents=["a", "b"]).embeddings) == 2
    assert "models/sim-model" in [model.name for model in api.models.list()]
    wrong = raises(errors.ClientError, lambda: api.models.generate_content(model="m", contents="x", config={"top_p": 2}))
    assert (wrong.code, wrong.status) == (400, "INVALID_ARGUMENT"), wrong


def azure():
    options = {"api_key": "key", "azure_endpoint": URL, "max_retries": 0, "timeout": 60}
    api = openai.AzureOpenAI(api_version="2024-10-21", **options)
    turns = [{"role": "user", "content": "hello"}]
    assert api.chat.completions.create(model="own", messages=turns).choices[0].message.content == "You said: hello"
    chunks = api.chat.completions.create(model="own", messages=turns, stream=True)
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == "You said: hello", text
    assert api.embeddings.create(model="own", input="hello").data[0].embedding
    old = openai.AzureOpenAI(api_version="latest", **options)
    raises(openai.NotFoundError, lambda: old.chat.completions.create(model="own", messages=turns))


for client in (cohere_v2, bedrock, gemini, azure):
    client()
    print(f"passed: {client.__name__}", flush=True)
