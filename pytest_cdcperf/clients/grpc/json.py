"""Requests from mappings, each field as Python has it or as protobuf's JSON mapping writes it.

https://protobuf.dev/programming-guides/json/: what files for k6, ghz and grpcurl hold: "123" for an int64, camelCase,
RFC 3339, base64, wrappers and masks as plain values.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, cast

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

from pytest_cdcperf.errors import ConfigError


def message_from(request: type[Message], given: Mapping[str, Any]) -> Message:
    """Return a *request* with the fields that are *given*.

    :raises ConfigError: naming the field that has neither form
    """
    message = request()
    for name, value in given.items():
        message.MergeFrom(_field(request, name, value))
    return message


def _field(request: type[Message], name: str, value: Any) -> Message:
    try:
        return request(**{name: value})
    except (TypeError, ValueError, AttributeError) as error:
        refused = error
    of = request.DESCRIPTOR
    try:
        return ParseDict({name: _as_json(value)}, request(), descriptor_pool=cast("DescriptorPool", of.file.pool))
    except (ParseError, TypeError, ValueError, AttributeError, RecursionError) as error:
        has = ", ".join(field.name for field in of.fields) or "none"
        known = {spelling for field in of.fields for spelling in (field.name, field.json_name)}
        words = f"{refused}; as JSON: {error}" if name in known else f"no field {name!r}"
        fault = f"{of.full_name}: {name}={value!r:.60}: {' '.join(words.split())}"
        raise ConfigError(f"{fault}; its fields: {has}") from None


def _as_json(value: Any) -> Any:
    match value:
        case bytes():
            return base64.b64encode(value).decode()
        case Mapping():
            return {name: _as_json(part) for name, part in value.items()}
        case list() | tuple():
            return [_as_json(part) for part in value]
        case _:
            return value
