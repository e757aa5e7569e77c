"""A message to a database server, as JSON."""

from __future__ import annotations

import json
import re
from typing import Any

from trunkline.core.error import InvalidValueError

_ESCAPED_NUL = rb"\u0000"
# Not after a backslash that is itself escaped.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def encoded(message: dict[str, Any]) -> bytes:
    """Return *message* as it is sent.

    Raises:
        InvalidValueError: a text is none that a database can hold; its server would close the connection.

    >>> encoded({"id": 1})
    b'{"id": 1}'
    """
    try:
        text = json.dumps(message, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        broken = ascii(error.object[error.start])
        raise InvalidValueError(f"{broken} is no whole character; leave it out") from error
    # The plain search comes first: it takes a hundredth of the time, and finds nothing as a rule.
    if _ESCAPED_NUL in text and _NUL.search(text):
        raise InvalidValueError("a text has a NUL character, which no database can hold; leave it out")
    return text
