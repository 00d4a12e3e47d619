"""A service with keys and tokens that are searched for afterwards, which repeats them in its answers when asked to."""

import json
from urllib.parse import quote

from qfmagic.transport.stub.reply import Reply
from qfmagic.transport.stub.service import BEARER_PATH, TOKEN_PATH, StubKeys, StubService

HANDED_OAUTH = "24.canaryOAUTH/handed+out.2592000"
HANDED_BEARER = "bce-v3/ALTAK-canaryIAMTOKEN/handed+out"
# What the hostile server does with the questions that ask for it; the key it was sent stands in its answers.
HOSTILE = {
    "wrong key": lambda key: (401, {"error": {"code": "invalid_iam_token", "message": f"bad {key}"}, "error_msg": key}),
    "bad request": lambda key: (400, {"error_code": 336003, "error_msg": f"echo {key}", "id": key}),
    "broken": lambda key: (500, {"error": {"code": key, "message": f"{key} is broken"}}),
    "page": lambda key: (502, f"<html>{key}"),
    "nonsense": lambda key: (200, f"nonsense {key}"),
    "redirect": lambda key: (302, f"moved to http://x/?access_token={quote(key, safe='')}"),
}


class HostileService(StubService):
    """The stub with keys and tokens of its own, which repeats what it was sent where the question asks for that."""

    def __init__(self, canaries):
        self.canaries = canaries
        super().__init__(StubKeys(**canaries))
        self.sent = set()

    def __call__(self, request):
        key = " ".join([*request.query.values(), request.headers.get("authorization", "")])
        self.sent |= {one for one in (*self.canaries.values(), HANDED_OAUTH, HANDED_BEARER) if one in key}
        if request.path == TOKEN_PATH:
            return reply(200, {"access_token": HANDED_OAUTH, "refresh_token": HANDED_OAUTH, "expires_in": 2592000})
        if request.path == BEARER_PATH:
            return reply(200, {"token": HANDED_BEARER})
        said = request.body.decode()
        for name, answer in HOSTILE.items():
            if f"please: {name}" in said:
                return reply(*answer(key))
        if HANDED_OAUTH in key or HANDED_BEARER in key:
            return reply(200, {"result": "fine", "id": "1", "choices": [{"index": 0, "message": {"content": "fine"}}]})
        return super().__call__(request)


def reply(status, said):
    body = said if isinstance(said, str) else json.dumps(said)
    return Reply(
        (body.encode(),), status, {"content-type": "text/html" if isinstance(said, str) else "application/json"}
    )
