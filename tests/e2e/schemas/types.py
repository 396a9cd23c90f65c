"""Reads what providers publish as schemas: the types of their Python clients, and AWS's model of
its services. A member that is not named is wrong, and so is a value of another type: nothing is
coerced.
"""

import base64
import collections.abc
import enum
import inspect
import re
import types
import typing

import typing_extensions as te
from pydantic import BaseModel

# Members that are the gateway's own, or others' that it keeps: named in the documentation.
EXTENSIONS = {
    "ChatCompletionMessage": {"reasoning_content", "thinking_blocks"},
    "ChoiceDelta": {"reasoning_content", "thinking_blocks"},
    "ChatCompletionMessageFunctionToolCall": {"extra_content"},
    "ChoiceDeltaToolCall": {"extra_content"},
    "Usage": {"estimated"},
    # Models up to 4.6 take them; the types are those of the newest.
    "MessageCreateParamsNonStreaming": {"temperature", "top_p", "top_k"},
    "MessageCreateParamsStreaming": {"temperature", "top_p", "top_k"},
    # Of newer servers than the client.
    "ToolCall": {"id"},
    "Message": {"tool_call_id"},
    # In the published examples of the API, and in no type.
    "Response": {"store"},
}
# The same in requests: only a client's are checked with them.
CLIENTS_OWN = {"cache_control", "thinking_blocks", "reasoning_content", "thinking", "top_k", "extra_content", "input_type"}


# JSON schemas of Ollama's tools, of which its server passes over what it does not know.
OPEN = {"Parameters", "Property"}


class Types:
    """Reads type hints as a schema."""

    def __init__(self, extra=frozenset()):
        self.extra = extra
        self.members = {}

    def check(self, value, hint, at=""):
        """What is wrong with `value`, as a list of (path, words)."""
        origin, args = typing.get_origin(hint), typing.get_args(hint)
        if hint in (typing.Any, object) or isinstance(hint, typing.TypeVar):
            return []
        if isinstance(hint, te.TypeAliasType):
            return self.check(value, hint.__value__, at)
        if origin in (te.Annotated, te.Required, te.NotRequired):
            return self.check(value, args[0], at)
        if origin in (typing.Union, types.UnionType):
            return self.union(value, args, at)
        if origin in (typing.Literal, te.Literal):
            known = any(value == arg and type(value) is type(arg) for arg in args)
            return [] if known else [(at, f"{value!r} is none of {args}")]
        if hint is None or hint is type(None):
            return [] if value is None else [(at, "not null")]
        if getattr(hint, "__module__", "") == "ollama._types" and hint.__name__ == "Image":
            # Which is sent as a text.
            return self.plain(value, bytes, at)
        if te.is_typeddict(hint) or (inspect.isclass(hint) and issubclass(hint, BaseModel)):
            return self.object(value, hint, at)
        if origin in (list, collections.abc.Iterable, collections.abc.Sequence, set, tuple):
            if not isinstance(value, list):
                return [(at, "no array")]
            return [one for i, item in enumerate(value) for one in self.check(item, args[0], f"{at}[{i}]")]
        if origin in (dict, collections.abc.Mapping) or hint in (dict, collections.abc.Mapping):
            if not isinstance(value, dict):
                return [(at, "no object")]
            inner = args[1] if args else typing.Any
            return [one for key, item in value.items() for one in self.check(item, inner, f"{at}.{key}")]
        return self.plain(value, hint, at)

    def plain(self, value, hint, at):
        if inspect.isclass(hint) and issubclass(hint, enum.Enum):
            known = [one.value for one in hint]
            return [] if value in known else [(at, f"{value!r} is none of {known}")]
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        fits = {
            str: isinstance(value, str),
            bool: isinstance(value, bool),
            int: number and isinstance(value, int),
            float: number,
            # Both alphabets, as Google's JSON has it.
            bytes: isinstance(value, str) and (is_base64(value) or is_base64(value, b"-_")),
            list: isinstance(value, list),
        }
        if hint not in fits:
            return [(at, f"{value!r} is no {hint}")]
        return [] if fits[hint] else [(at, f"{value!r} is no {hint.__name__}")]

    def union(self, value, args, at):
        """The mistakes of the alternative that is the nearest: the one whose words all fit."""
        best = None
        for arg in args:
            wrong = self.check(value, arg, at)
            if not wrong:
                return []
            words = sum(1 for path, _ in wrong if path in (at, f"{at}.type", f"{at}.role"))
            if best is None or (words, len(wrong)) < best[0]:
                best = ((words, len(wrong)), wrong)
        return best[1]

    def object(self, value, hint, at):
        if not isinstance(value, dict):
            return [(at, f"{value!r} is no object ({hint.__name__})")]
        wrong = []
        fields = self.fields(hint)
        for name, (inner, required) in fields.items():
            if name in value:
                wrong += self.check(value[name], inner, f"{at}.{name}")
            elif required:
                wrong.append((f"{at}.{name}", f"missing ({hint.__name__})"))
        if hint.__name__ in OPEN:
            return wrong
        known = EXTENSIONS.get(hint.__name__, set()) | self.extra
        wrong += [(f"{at}.{name}", f"unknown ({hint.__name__})") for name in value if name not in fields and name not in known]
        return wrong

    def fields(self, hint):
        if hint not in self.members:
            if issubclass(hint, BaseModel):
                found = {f.alias or name: (f.annotation, f.is_required()) for name, f in hint.model_fields.items()}
            else:
                hints = te.get_type_hints(hint, include_extras=True)
                found = {name: (inner, name in hint.__required_keys__) for name, inner in hints.items()}
            self.members[hint] = found
        return self.members[hint]


class Shapes:
    """Reads AWS's service model as a schema, also what botocore leaves to the server."""

    def __init__(self, service):
        import botocore.session

        self.model = botocore.session.get_session().get_service_model(service)

    def check(self, value, shape, at=""):
        return getattr(self, shape.type_name)(value, shape, at)

    def structure(self, value, shape, at):
        if getattr(shape, "is_document_type", False):
            return []
        if not isinstance(value, dict):
            return [(at, "no object")]
        wrong = [(f"{at}.{name}", "missing") for name in shape.required_members if name not in value]
        if getattr(shape, "is_tagged_union", False) and len(value) != 1:
            wrong.append((at, f"must have one member: {sorted(value)}"))
        for name, item in value.items():
            known = name in shape.members
            wrong += self.check(item, shape.members[name], f"{at}.{name}") if known else [(f"{at}.{name}", "unknown")]
        return wrong

    def list(self, value, shape, at):
        if not isinstance(value, list):
            return [(at, "no array")]
        wrong = self.length(len(value), shape, at)
        return wrong + [one for i, item in enumerate(value) for one in self.check(item, shape.member, f"{at}[{i}]")]

    def map(self, value, shape, at):
        return [one for key, item in value.items() for one in self.check(item, shape.value, f"{at}.{key}")]

    def string(self, value, shape, at):
        if not isinstance(value, str):
            return [(at, f"{value!r} is no string")]
        wrong = self.length(len(value), shape, at)
        known, pattern = shape.metadata.get("enum"), shape.metadata.get("pattern")
        if known and value not in known:
            wrong.append((at, f"{value!r} is none of {known}"))
        if pattern and not re.fullmatch(pattern, value):
            wrong.append((at, f"{value!r} does not match {pattern}"))
        return wrong

    def blob(self, value, shape, at):
        return [] if isinstance(value, str) and is_base64(value) else [(at, "no base64")]

    def boolean(self, value, shape, at):
        return [] if isinstance(value, bool) else [(at, f"{value!r} is no boolean")]

    def integer(self, value, shape, at):
        return self.length(value, shape, at) if type(value) is int else [(at, f"{value!r} is no integer")]

    def float(self, value, shape, at):
        return self.length(value, shape, at) if type(value) in (int, float) else [(at, f"{value!r} is no number")]

    long, double = integer, float

    def length(self, count, shape, at):
        least, most = shape.metadata.get("min"), shape.metadata.get("max")
        fits = (least is None or count >= least) and (most is None or count <= most)
        return [] if fits else [(at, f"{count} is not within {least} to {most}")]


def is_base64(text, altchars=None):
    try:
        base64.b64decode(text, altchars, validate=True)
        return True
    except ValueError:
        return False
