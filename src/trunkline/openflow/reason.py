"""Why a switch refused a message, by the names of OpenFlow 1.4.0 section 7.5.4."""

from __future__ import annotations

from collections.abc import Collection

_KINDS: dict[int, tuple[str, str]] = {
    0: ("OFPHFC", "INCOMPATIBLE EPERM"),
    1: (
        "OFPBRC",
        "BAD_VERSION BAD_TYPE BAD_MULTIPART BAD_EXPERIMENTER BAD_EXP_TYPE EPERM BAD_LEN"
        " BUFFER_EMPTY BUFFER_UNKNOWN BAD_TABLE_ID IS_SLAVE BAD_PORT BAD_PACKET"
        " MULTIPART_BUFFER_OVERFLOW MULTIPART_REQUEST_TIMEOUT MULTIPART_REPLY_TIMEOUT",
    ),
    2: (
        "OFPBAC",
        "BAD_TYPE BAD_LEN BAD_EXPERIMENTER BAD_EXP_TYPE BAD_OUT_PORT BAD_ARGUMENT EPERM TOO_MANY"
        " BAD_QUEUE BAD_OUT_GROUP MATCH_INCONSISTENT UNSUPPORTED_ORDER BAD_TAG BAD_SET_TYPE"
        " BAD_SET_LEN BAD_SET_ARGUMENT",
    ),
    3: (
        "OFPBIC",
        "UNKNOWN_INST UNSUP_INST BAD_TABLE_ID UNSUP_METADATA UNSUP_METADATA_MASK BAD_EXPERIMENTER"
        " BAD_EXP_TYPE BAD_LEN EPERM DUP_INST",
    ),
    4: (
        "OFPBMC",
        "BAD_TYPE BAD_LEN BAD_TAG BAD_DL_ADDR_MASK BAD_NW_ADDR_MASK BAD_WILDCARDS BAD_FIELD"
        " BAD_VALUE BAD_MASK BAD_PREREQ DUP_FIELD EPERM",
    ),
    5: (
        "OFPFMFC",
        "UNKNOWN TABLE_FULL BAD_TABLE_ID OVERLAP EPERM BAD_TIMEOUT BAD_COMMAND BAD_FLAGS CANT_SYNC"
        " BAD_PRIORITY",
    ),
    17: (
        "OFPBFC",
        "UNKNOWN EPERM BAD_ID BUNDLE_EXIST BUNDLE_CLOSED OUT_OF_BUNDLES BAD_TYPE BAD_FLAGS"
        " MSG_BAD_LEN MSG_BAD_XID MSG_UNSUP MSG_CONFLICT MSG_TOO_MANY MSG_FAILED TIMEOUT"
        " BUNDLE_IN_PROGRESS",
    ),
}

_NAMES = {
    (kind, code): f"{prefix}_{name}"
    for kind, (prefix, names) in _KINDS.items()
    for code, name in enumerate(names.split())
}


def reason(kind: int, code: int) -> str:
    """Return the specification's name of the error *code* of *kind*, or their numbers if it has none.

    >>> reason(5, 1), reason(65535, 3)
    ('OFPFMFC_TABLE_FULL', 'error 65535/3')
    """
    return _NAMES.get((kind, code), f"error {kind}/{code}")


def not_offered(versions: Collection[int]) -> str:
    """Return why a switch that offers only *versions* of OpenFlow, as on the wire, cannot be used."""
    names = ", ".join(f"OpenFlow1{version - 1}" for version in sorted(versions)) or "none"
    return f"the switch does not allow OpenFlow14 (it offers {names}); add it to the bridge's protocols"
