"""Drives the official Python SDK for a test: reads one call a line from standard input, writes one answer a line.

{"methods": true}                          -> {"methods": [name, ...]}
{"call": name, "args": {attribute: value}} -> {"status": 200, "body": ...} or {"status": 404, "code": "DCS.3022", "message": "..."}
{"call": name, "fill": {attribute: value}} the same; what is not given is made up from the SDK's own types
"""
import json
import os
import re
import sys

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions import exceptions
from huaweicloudsdkcore.http.http_config import HttpConfig
import huaweicloudsdkdcs.v2 as dcs

client = dcs.DcsClient.new_builder() \
    .with_http_config(HttpConfig(timeout=(5, 60))) \
    .with_credentials(BasicCredentials(os.environ["SLUICE_ACCESS_KEY"], os.environ["SLUICE_SECRET_KEY"], os.environ["SLUICE_PROJECT_ID"])) \
    .with_endpoint(os.environ["SLUICE_TEST_ENDPOINT"]).build()

PUBLIC = [name for name in dir(client) if not name.startswith("_") and hasattr(client, name + "_invoker")]


def request_class(name):
    """ListACLAccounts is list_acl_accounts: the class is found by its letters."""
    wanted = name.replace("_", "") + "request"
    return next(getattr(dcs, each) for each in dir(dcs) if each.lower() == wanted)


def made(kind, name, known, given, depth=0):
    """A value of one of the SDK's types; `given` by the caller, or by name among the `known`, where null leaves it out, or made up."""
    if given is None and name in known:
        given = known[name]
        if given is None:
            return None
    listed = re.match(r"list\[(.+)\]$", kind)
    if listed:
        if given is None:
            return [made(listed.group(1), name, known, None, depth + 1)]
        return [made(listed.group(1), "", known, one, depth + 1) for one in given] if isinstance(given, list) else [given]
    model = getattr(dcs, kind, None)
    if model is not None and hasattr(model, "openapi_types") and not isinstance(given, str):
        # With given values a field that is left out stays out.
        fields = model.openapi_types.items() if given is None else [(each, model.openapi_types[each]) for each in given]
        return model(**{each: made(type_, each, known, None if given is None else given[each], depth + 1) for each, type_ in fields}) if depth < 6 else None
    if given is not None:
        return given
    return {"int": 1, "float": 1.0, "bool": False, "datetime": "2026-01-01T00:00:00.000Z", "object": {}}.get(kind, {} if kind.startswith("dict") else "x")


def request(name, message):
    cls = request_class(name)
    if "args" in message:
        return cls(**{each: made(cls.openapi_types[each], each, {}, value) for each, value in message["args"].items()})
    known = message["fill"]
    return cls(**{each: made(kind, each, known, None) for each, kind in cls.openapi_types.items()})


def answer(message):
    if message.get("methods"):
        return {"methods": PUBLIC}
    try:
        reply = getattr(client, message["call"])(request(message["call"], message))
        return {"status": reply.status_code, "body": json.loads(str(reply)) if hasattr(reply, "to_dict") else None}
    except exceptions.ServiceResponseException as refused:
        return {"status": refused.status_code, "code": refused.error_code, "message": refused.error_msg, "request": refused.request_id}


for line in sys.stdin:
    try:
        print(json.dumps(answer(json.loads(line))), flush=True)
    except Exception as fault:  # the test must see whatever breaks in the SDK
        print(json.dumps({"status": 0, "code": type(fault).__name__, "message": str(fault)}), flush=True)
