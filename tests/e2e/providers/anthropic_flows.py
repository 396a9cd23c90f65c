"""The Anthropic client against every provider. Arguments: the gateway, the caller's key, the providers."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import anthropic
import httpx2

IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
# By the words of the refusal: what the table says of a feature under OpenAI's names.
NAMES = {"image_link": "image_link", "tool_choice_any": "tool_choice_required", "tool_choice_tool": "tool_choice_named", "tool_choice_none": "tool_choice_none"}


def user(content):
    return {"role": "user", "content": content}


def told(controls):
    return {"x-sim": controls}


def tools(*names):
    return [{"name": name, "description": f"Tells the {name}.", "input_schema": SCHEMA} for name in names]


def same(found, expected):
    assert found == expected, f"found {found!r}, expected {expected!r}"


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


def calls_of(message):
    return [block for block in message.content if block.type == "tool_use"]


class Flows:
    """One method for each feature; `of` is the provider."""

    def __init__(self, api, of):
        self.api, self.of, self.model = api, of, of["chat"]
        self.native = of["name"] == "anthropic"

    def ask(self, *messages, **options):
        options = {"max_tokens": 2000, **options}
        return self.api.messages.create(model=self.model, messages=list(messages), **options)

    def stream(self, *messages, **options):
        """The message that the client puts together, and the types of the events."""
        types = []
        options = {"max_tokens": 2000, **options}
        with self.api.messages.stream(model=self.model, messages=list(messages), **options) as stream:
            types = [event.type for event in stream]
            return stream.get_final_message(), types

    def chat(self):
        message = self.ask(user("hello there"))
        same((message.type, message.role, text_of(message)), ("message", "assistant", "You said: hello there"))
        same((message.model, message.stop_reason, message.stop_sequence), (self.model, "end_turn", None))
        same((message.usage.input_tokens, message.usage.output_tokens), (2, 4))
        assert message.id, message
        raw = self.api.messages.with_raw_response.create(model=self.model, max_tokens=9, messages=[user("x")])
        assert raw.headers["x-request-id"]

    def system(self):
        turns = (user("hello"), {"role": "assistant", "content": "yes"}, user("again please"))
        for system in ("be brief", [{"type": "text", "text": "be"}, {"type": "text", "text": "brief"}]):
            message = self.ask(*turns, system=system)
            same((text_of(message), message.usage.input_tokens), ("You said: again please", 2 + 1 + 1 + 2))

    def parts(self):
        parts = [{"type": "text", "text": "first words"}, {"type": "text", "text": "and more", "cache_control": {"type": "ephemeral"}}]
        message = self.ask(user(parts))
        assert "and more" in text_of(message), message
        same(message.usage.input_tokens, 4)

    def stop(self):
        message = self.ask(user("hello there"), stop_sequences=[" there", " nowhere"])
        same(text_of(message), "You said: hello")
        # OpenAI's protocol, by way of which all others are reached, does not tell which sequence it was.
        expected = ("stop_sequence", " there") if self.native else ("end_turn", None)
        same((message.stop_reason, message.stop_sequence), expected)

    def limits(self):
        message = self.ask(user("hello there"), max_tokens=2)
        same((text_of(message), message.stop_reason), ("You said:", "max_tokens"))
        message, _ = self.stream(user("hello there"), max_tokens=2)
        same((text_of(message), message.stop_reason), ("You said:", "max_tokens"))

    def sampling(self):
        for options in ({"temperature": 0.2}, {"top_p": 0.9}, {"top_p": 1.0}, {"top_k": 40}, {"metadata": {"user_id": "someone"}}):
            same(text_of(self.ask(user("hello"), extra_body=options)), "You said: hello")

    def streaming(self):
        whole = self.ask(user("a stream"))
        message, types = self.stream(user("a stream"))
        same((text_of(message), message.stop_reason), (text_of(whole), whole.stop_reason))
        same((message.usage.input_tokens, message.usage.output_tokens), (2, 4))
        same((types[0], types[-1]), ("message_start", "message_stop"))
        for controls in ("split=1", "split=7; crlf=crlf; comments=1"):
            message, _ = self.stream(user("a stream"), extra_headers=told(controls))
            same(text_of(message), "You said: a stream")

    def cached(self):
        message = self.ask(user("one two three"), extra_headers=told("cached=2"))
        usage = message.usage
        same(usage.input_tokens + (usage.cache_read_input_tokens or 0), 3)
        same(usage.cache_read_input_tokens or 0, 0 if self.of["name"] == "ollama" else 2)

    def tools(self):
        given = tools("weather", "time")
        first = self.ask(user("call weather and time"), tools=given, tool_choice={"type": "auto"})
        calls = calls_of(first)
        same((first.stop_reason, [call.name for call in calls]), ("tool_use", ["weather", "time"]))
        same([call.input for call in calls], [{"city": "call weather and time", "days": 4}] * 2)
        assert len({call.id for call in calls}) == 2
        results = [
            {"type": "tool_result", "tool_use_id": calls[0].id, "content": "20 C"},
            {"type": "tool_result", "tool_use_id": calls[1].id, "content": [{"type": "text", "text": "noon"}]},
        ]
        turns = [user("call weather and time"), {"role": "assistant", "content": first.content}, user(results)]
        second = self.ask(*turns, tools=given)
        same((text_of(second), second.stop_reason), ("The tool said: 20 C noon", "end_turn"))
        turns += [{"role": "assistant", "content": second.content}, user("call time")]
        third = self.ask(*turns, tools=given)
        same([call.name for call in calls_of(third)], ["time"])
        result = {"type": "tool_result", "tool_use_id": calls_of(third)[0].id, "content": "late", "is_error": True}
        turns += [{"role": "assistant", "content": third.content}, user([result])]
        same(text_of(self.ask(*turns, tools=given)), "The tool said: late")

    def tools_streamed(self):
        message, types = self.stream(user("call weather and time"), tools=tools("weather", "time"))
        same((message.stop_reason, [call.name for call in calls_of(message)]), ("tool_use", ["weather", "time"]))
        same([call.input for call in calls_of(message)], [{"city": "call weather and time", "days": 4}] * 2)
        assert types.count("content_block_stop") >= 2, types

    def tool_choice_any(self):
        message = self.ask(user("hello"), tools=tools("weather", "time"), tool_choice={"type": "any"})
        same([call.name for call in calls_of(message)], ["weather"])

    def tool_choice_tool(self):
        message = self.ask(user("hello"), tools=tools("weather", "time"), tool_choice={"type": "tool", "name": "time"})
        same([call.name for call in calls_of(message)], ["time"])

    def tool_choice_none(self):
        turns = [user("call weather")]
        same(text_of(self.ask(*turns, tools=tools("weather"), tool_choice={"type": "none"})), "You said: call weather")
        turns = [
            user("x"),
            {"role": "assistant", "content": [{"type": "tool_use", "id": "call_1", "name": "weather", "input": {}}]},
            user([{"type": "tool_result", "tool_use_id": "call_1", "content": "20 C"}, {"type": "text", "text": "again"}]),
        ]
        self.ask(*turns, tools=tools("weather"), tool_choice={"type": "none"})

    def one_call_only(self):
        choice = {"type": "auto", "disable_parallel_tool_use": True}
        message = self.ask(user("call weather and time"), tools=tools("weather", "time"), tool_choice=choice)
        # Others have no word for it, which they are warned of.
        same(len(calls_of(message)), 1 if self.of["name"] in ("openai", "azure", "anthropic") else 2)

    def image(self, source):
        message = self.ask(user([{"type": "text", "text": "what is this"}, {"type": "image", "source": source}]))
        same((text_of(message), message.usage.input_tokens), ("You said: what is this", 4))

    def image_data(self):
        self.image({"type": "base64", "media_type": "image/png", "data": IMAGE})

    def image_link(self):
        self.image({"type": "url", "url": "https://example.com/picture.png"})

    def json_schema(self):
        message = self.ask(user("Rome"), output_config={"format": {"type": "json_schema", "schema": SCHEMA}})
        same(json.loads(text_of(message)), {"city": "Rome", "days": 1})

    def thinking(self):
        options = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
        shown = self.of["thinking"] == "shown" and self.of["name"] != "ollama"
        for message in (self.ask(user("think of it"), **options), self.stream(user("think of it"), **options)[0]):
            same(text_of(message), "You said: think of it")
            thoughts = [block.thinking for block in message.content if block.type == "thinking"]
            same(thoughts, ["The user wrote 3 words."] if shown else [])
        # The thoughts of a turn with calls go back with it.
        turn = self.ask(user("call weather"), tools=tools("weather"), **options)
        result = {"type": "tool_result", "tool_use_id": calls_of(turn)[0].id, "content": "20 C"}
        turns = [user("call weather"), {"role": "assistant", "content": turn.content}, user([result])]
        same(text_of(self.ask(*turns, tools=tools("weather"), **options)), "The tool said: 20 C")

    def refusals(self):
        for status, error in (
            (400, anthropic.BadRequestError),
            (429, anthropic.RateLimitError),
            (500, anthropic.InternalServerError),
            (503, anthropic.InternalServerError),
        ):
            for stream in (False, True):
                try:
                    self.ask(user("x"), stream=stream, extra_headers=told(f"status={status}"))
                except anthropic.APIStatusError as caught:
                    assert isinstance(caught, error), (status, caught)
                    same(caught.body["type"], "error")
                    assert caught.body["error"]["message"] and caught.body["error"]["type"], caught.body
                else:
                    raise AssertionError(f"{status} was no error")
        try:
            self.api.messages.create(model=self.of["gone"], max_tokens=9, messages=[user("x")])
        except anthropic.APIStatusError as caught:
            expected = anthropic.BadRequestError if self.of["name"] == "bedrock" else anthropic.NotFoundError
            assert type(caught) is expected, caught
        else:
            raise AssertionError("a model that is gone")

    def broken_streams(self):
        broken = (anthropic.APIError, httpx2.TransportError)
        for controls, expected in (
            ("error-event=3", anthropic.APIError),
            ("end-early=3", anthropic.APIError),
            ("cut=3", broken),
        ):
            said = ""
            try:
                for event in self.ask(user("one two three"), stream=True, extra_headers=told(controls)):
                    if event.type == "content_block_delta":
                        said += event.delta.text
            except expected:
                assert "three" not in said, said
            else:
                raise AssertionError(f"{controls}: the stream ended well with {said!r}")


FEATURES = [name for name in vars(Flows) if not name.startswith("_") and name not in ("ask", "stream", "image")]


def run(of):
    with httpx2.Client(timeout=60) as transport:
        api = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, http_client=transport)
        flows = Flows(api, of)
        for feature in FEATURES:
            refused = of["cannot"].get(NAMES.get(feature, ""))
            try:
                getattr(flows, feature)()
            except anthropic.BadRequestError as error:
                if refused is None:
                    raise AssertionError(f"{of['name']}: {feature}: {error}") from error
                # In the words of Anthropic's protocol.
                words = "'messages'" if feature == "image_link" else refused
                assert words in error.body["error"]["message"], f"{of['name']}: {feature}: {error.body}"
            except Exception as error:
                raise AssertionError(f"{of['name']}: {feature}: {error!r}") from error
            else:
                assert refused is None, f"{of['name']} can {feature}: the table says it cannot"


url, key, providers = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
with ThreadPoolExecutor(4) as pool:
    runs = {of["name"]: pool.submit(run, of) for of in providers}
failed = [str(done.exception()) for done in runs.values() if done.exception()]
for name, done in runs.items():
    if not done.exception():
        print(f"passed: {name}")
if failed:
    sys.exit("\n".join(failed))
