"""
No key and no token is anywhere it doesn't belong, whatever is done: looked for everywhere at once.

A real kernel on a real loopback server that is hostile now and then, with a canary for each kind of key, given in each
of the ways there are. Then all that the kernel sent, printed and left on disk is searched.
"""

import base64
import json
import socket
import ssl
import textwrap
import threading
from contextlib import ExitStack
from urllib.parse import quote

import pytest
import trustme

from qfmagic.client.settings import fingerprint
from qfmagic.testing.stub_server import LoopbackServer
from tests.support.hostile import HANDED_BEARER, HANDED_OAUTH, HOSTILE, HostileService

RING = """
import shelve
from pathlib import Path
from keyring.backend import KeyringBackend

class Ring(KeyringBackend):
    priority = 9
    kept = shelve.open(str(Path(__file__).with_name("ring")))
    def get_password(self, service, username):
        return self.kept.get(username)
    def set_password(self, service, username, password):
        self.kept[username] = password
        self.kept.sync()
    def delete_password(self, service, username):
        del self.kept[username]
"""
NO_RING = "keyring.backends.null.Keyring"
FIELDS = {
    "bearer": ("bearer_token",),
    "iam": ("access_key", "secret_key"),
    "app": ("ak", "sk"),
    "access_token": ("access_token",),
}


def canaries_of(way):
    kind = {name: f"canary{way}{name}/Q+z=0123456789".replace("_", "") for names in FIELDS.values() for name in names}
    bearer = f"bce-v3/ALTAK-canary{way}/Q+z=0123456789"
    return {
        **kind,
        "bearer_token": bearer,
        "access_key": f"canary{way}ACCESSKEY0123456789",
    }  # no "/": it is signed with


def written(secret):
    """A secret as it is, in an address, in a header."""
    encoded = {base64.b64encode(secret.encode()), base64.urlsafe_b64encode(secret.encode())}
    return {secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1], *(one.decode() for one in encoded)}


class Watched:
    """A kernel all of whose messages, output and files are kept to be searched."""

    def __init__(self, start, folder, capfd, **environ):
        self.folder, self.capfd, self.frames = folder, capfd, []
        self.kernel = start(**environ)
        session, heard = self.kernel.client.session, self.frames
        plain = session.deserialize

        def keep(parts, *args, **kwargs):  # what comes on iopub, shell, control and stdin
            heard.append(b" ".join(bytes(part) for part in parts).decode("utf-8", "replace"))
            return plain(parts, *args, **kwargs)

        session.deserialize = keep

    def run(self, code):
        return self.kernel.run(textwrap.dedent(code), cell="c", timeout=60)

    def type_in(self, kind, values):
        """Give keys at the hidden prompts of %qf auth."""
        client = self.kernel.client
        name = client.execute(f"%qf auth {kind}", allow_stdin=True)
        for value in values:
            request = client.get_stdin_msg(timeout=30)["content"]
            assert request["password"] is True
            client.input(value)
        heard = self.kernel.wait_for(name, "display_data")
        assert fingerprint(values[0]) in json.dumps(heard, default=str)
        client.get_shell_msg(timeout=30)

    def leaks(self, secrets, allowed):
        """Where any form of a secret is; files of the *allowed* names may hold them."""
        self.kernel.run("import logging, sys\nlogging.shutdown()\nsys.stdout.flush()")
        self.kernel.run("get_ipython().history_manager.writeout_cache()")
        self.kernel.client.control_channel.send(self.kernel.client.session.msg("kernel_info_request"))
        self.kernel.client.get_control_msg(timeout=30)
        self.kernel.close()
        printed = self.capfd.readouterr()
        places = {f"message {number}": frame for number, frame in enumerate(self.frames)}
        places |= {"stdout": printed.out, "stderr": printed.err}
        for path in self.folder.rglob("*"):
            if path.is_file() and path.name not in allowed:
                places[str(path)] = path.read_bytes().decode("utf-8", "replace")
        assert {"history.sqlite", "journal.sqlite", "all.log"} <= {place.rsplit("/", 1)[-1] for place in places}
        forms = {form for secret in secrets for form in written(secret)}
        return [(place, form, around(text, form)) for place, text in places.items() for form in forms if form in text]


def around(text, form):
    at = text.index(form)
    return text[max(at - 300, 0) : at + 100]


SETUP = """
    import logging, sys, warnings
    warnings.simplefilter("always")
    logging.basicConfig(filename="all.log", level=1, force=True)
    for one in [*logging.root.manager.loggerDict, "httpx", "httpcore", "h11", "keyring", "qfmagic"]:
        logging.getLogger(one).setLevel(1)
        logging.getLogger(one).propagate = True
    get_ipython().kernel.log.setLevel(1)
    %xmode Verbose
    %logstart -o -r -t input.log
    %qf set retry_count=2
    magics = get_ipython().magics_manager.registry["QianfanMagics"]
"""
STEER = [
    "%qf settings",
    "%qf doctor",
    "%qf auth check",
    "%qf models",
    "%qf history",
    "%qf last",
    "%qf show 1",
    "%qf usage",
    "%qf help",
    "%qf help auth",
    "%qf panel",
    "%qf resume",
    *(f"%qf export conversation{ending}" for ending in (".md", ".jsonl", ".py", ".ipynb")),
    "%qianfan?",
    "%%qianfan dry\nhi",
    "%history -g",
    "%history -o",
    "In, Out",
    "%whos",
]
LOOK = """
    import gc
    session = magics.engine.session
    seen, pending = {}, [magics]
    while pending:
        one = pending.pop()
        if id(one) in seen or one is session.environ:
            continue
        seen[id(one)] = one
        if isinstance(one, dict):
            pending += [*one.keys(), *one.values()]
        elif isinstance(one, (list, tuple, set, frozenset)):
            pending += one
        elif type(one).__module__.startswith(("qfmagic", "httpx", "httpcore", "concurrent")):
            kept = [name for kind in type(one).__mro__ for name in getattr(kind, "__slots__", ())]
            pending += [getattr(one, name) for name in kept if name != "__weakref__" and hasattr(one, name)]
            pending += [getattr(one, "__dict__", {})]
    shown = [repr(one) for one in seen.values()
             if not isinstance(one, str) and type(one).__module__.startswith(("qfmagic", "httpx", "httpcore"))]
    print(len(shown), *shown)
    client = session.client()
    stream = client.stream("hi", model=MODEL)
    list(stream)
    print(repr(client), repr(client.settings), repr(stream), repr(stream.answer), vars(stream.answer)
          if hasattr(stream.answer, "__dict__") else "", repr(session), vars(client), repr(session.keys), session.keys._given)
    for fault in (lambda: client.settings.no_such, lambda: 1 / len(session.keys._given and ())):
        try:
            fault()
        except Exception:
            get_ipython().showtraceback()
"""


def ask_everything(watched, models, server, refused, tls):
    """Questions and errors of every class, on both APIs, with tracebacks looked at each time."""
    names = repr([*server.environ])
    for model in models:
        assert watched.run(f"%%qianfan model={model}\nhi").error is None
        watched.run(f"%%qianfan model={model} stream=false once\nhi")
        for name in HOSTILE:
            ran = watched.run(f"%%qianfan model={model}\nplease: {name}")
            assert ran.error, name
            assert "Error" in watched.run("%tb").stdout + str(
                watched.run("import traceback; sys.last_value.details()").result
            )
            watched.run("traceback.print_exception(sys.last_value)")
        for address in (refused, tls):
            watched.run(f"import os\nfor name in {names}: os.environ[name] = {address!r}")
            assert watched.run(f"%%qianfan model={model}\nhi").error[0] in ("ConnectError", "TransportError")
            watched.run("%tb")
            watched.run("print(sys.last_value.details())\n%qf doctor\n%qf auth check")
            watched.run(f"for name in {names}: os.environ[name] = {server.url!r}")
        watched.run(f"%qf set model={model}")
        watched.run(f"MODEL = {model!r}")
        ran = watched.run(LOOK)
        assert int(ran.stdout.split()[0]) > 10
        assert ran.status == "ok"


@pytest.fixture
def addresses():
    """An address that refuses connections, and one whose certificate nobody knows."""
    with ExitStack() as stack:
        closed = socket.create_server(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        closed.close()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def shake_hands():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        context.wrap_socket(connection, server_side=True).close()
                    except OSError:
                        continue

        threading.Thread(target=shake_hands, daemon=True).start()
        yield f"http://127.0.0.1:{port}", f"https://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


WAYS = ["environment", "dotenv", "prompt", "file", "keyring"]
# The kinds that are used together, and the models that use them.
TOGETHER = {
    "bearer and app": (("bearer", "app"), ("ernie-5.1", "yi_34b_chat")),
    "iam": (("iam",), ("ernie-5.1", "yi_34b_chat")),
    "token": (("access_token",), ("yi_34b_chat",)),
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("together", TOGETHER)
@pytest.mark.parametrize("way", WAYS)
def test_keys_are_found_nowhere_else(start, tmp_path, tmp_path_factory, capfd, addresses, way, together):
    kinds, models = TOGETHER[together]
    canaries = {name: key for name, key in canaries_of(way).items() if any(name in FIELDS[kind] for kind in kinds)}
    service = HostileService(canaries)
    ring = tmp_path_factory.mktemp("ring")
    (ring / "canaryring.py").write_text(RING)
    environ = {
        "HOME": str(tmp_path),
        "QFMAGIC_HOME": str(tmp_path / "home"),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "QIANFAN_LLM_API_RETRY_BACKOFF_FACTOR": "0.01",
        "QIANFAN_LLM_API_RETRY_JITTER": "0",
        "PYTHONPATH": str(ring),
        "PYTHON_KEYRING_BACKEND": "canaryring.Ring" if way == "keyring" else NO_RING,
    }
    variables = {f"QIANFAN_{name.upper()}": key for name, key in canaries.items()}
    with LoopbackServer(service) as server:
        if way == "dotenv":
            (tmp_path / ".env").write_text("".join(f"{name}='{key}'\n" for name, key in variables.items()))
        if way in ("file", "keyring"):
            saving = start(**environ, QFMAGIC_TRANSPORT="stub")
            client = Watched.__new__(Watched)
            client.kernel = saving
            for kind in kinds:
                client.type_in(kind, [canaries[name] for name in FIELDS[kind]])
            assert f"Saved: {kinds[0]}" in saving.run("%qf auth save").plain
            saving.close()
        watched = Watched(
            start, tmp_path, capfd, **server.environ, **environ, **(variables if way == "environment" else {})
        )
        watched.run(SETUP)
        if way == "prompt":
            for kind in kinds:
                watched.type_in(kind, [canaries[name] for name in FIELDS[kind]])
        ask_everything(watched, models, server, *addresses)
        for line in STEER:
            watched.run(line)
        watched.run("%qf auth forget")
    handed = {"app": HANDED_OAUTH, "iam": HANDED_BEARER}
    secrets = [*canaries.values(), *(handed[kind] for kind in kinds if kind in handed)]
    assert service.sent >= {one for one in secrets if one != canaries.get("secret_key")}
    assert watched.leaks(secrets, allowed=(".env", "keys.json")) == []
