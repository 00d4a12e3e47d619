"""What stands between this machine and the service: looked at without any key, and said so that it can be mended."""

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

import httpx

from ...core.errors import QianfanError
from ...core.i18n import Described, Text
from ...core.models import WIRES, Wire
from ...core.pacing.clock_skew import clock_hint
from ...core.safe_json import read_object
from ...core.wire import service_error
from ..auth.authorizer import gateway_error
from ..auth.credentials import available, choose
from ..bases import DEFAULT_BASE
from ..http.network import Network, shown_address
from ..http.request import Clock, Outgoing
from ..settings import Settings
from .key_check import CHECK_TIMEOUT_S, V1_ENDPOINT, v1_ended

Topic = Literal["keys", "reach", "proxy", "certificates", "clock", "v1"]
Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class DiagnosisFinding:
    """
    One thing found.

    Attributes:
        topic: What it is about.
        level: Whether it is in the way.
        what: What was found and what to do, as a text that knows its languages.
    """

    topic: Topic
    level: Level
    what: Described | QianfanError

    def describe(self, lang: str) -> str:
        """Say it in *lang* (``"en"`` or ``"zh"``)."""
        return self.what.message(lang) if isinstance(self.what, QianfanError) else self.what.describe(lang)


class _Target(NamedTuple):
    """An address that is looked at; the request carries no key, and costs nothing."""

    wire: Literal["v1", "v2", "token"]
    outgoing: Outgoing


async def check(
    settings: Settings, *, transport: httpx.AsyncBaseTransport | None = None, clock: Clock = time.time
) -> list[DiagnosisFinding]:
    """
    Look at keys, addresses, proxies, certificates, clock, and whether V1 still answers; never raises.

    Whether the keys are good is :func:`qfmagic.client.checks.key_check.verify`'s business.
    """
    network = Network(settings, transport)
    found = [*_keys(settings), *_certificates(settings)]
    try:
        looks = [_guarded(_look(network, settings, target, clock)) for target in _targets(settings)]
        for several in await asyncio.gather(*looks):
            said = {finding.describe("en") for finding in found}
            found += [finding for finding in several if finding.describe("en") not in said]
    finally:
        await network.aclose()
    return found


async def _guarded(look: Awaitable[list[DiagnosisFinding]]) -> list[DiagnosisFinding]:
    try:
        return await look
    except Exception as error:  # noqa: BLE001 - a doctor that faints helps nobody
        return [DiagnosisFinding("reach", "error", Text("check.failed", {"kind": type(error).__name__}))]


def _keys(settings: Settings) -> list[DiagnosisFinding]:
    found: list[DiagnosisFinding] = []
    missing: list[DiagnosisFinding] = []
    for wire in _wires(settings):
        try:
            used = choose(settings, wire)
        except QianfanError as error:
            form = error.key in ("keys.form", "keys.half", "keys.misplaced", "keys.swapped")
            (found if form else missing).append(DiagnosisFinding("keys", "error" if form else "warning", error))
        else:
            values = {"wire": wire.upper(), "variables": used.variables}
            found.append(DiagnosisFinding("keys", "ok", Text("check.keys", values)))
    base = settings.named_base
    if base is not None and base.name != DEFAULT_BASE:
        found.append(DiagnosisFinding("keys", "ok", Text("check.base", {"base": base})))
    if not any(available(settings, wire) for wire in WIRES):
        missing = [DiagnosisFinding("keys", "error", finding.what) for finding in missing]
    return [*found, *missing]


def _certificates(settings: Settings) -> list[DiagnosisFinding]:
    return [] if settings.ssl_verification else [DiagnosisFinding("certificates", "warning", Text("check.insecure"))]


def _wires(settings: Settings) -> list[Wire]:
    """The APIs to look at: V1 has ended, so it counts only with keys for V1 alone, or behind another address."""
    elsewhere = settings.base_url != Settings().base_url and available(settings, "v1")
    return list(WIRES) if settings.ak or settings.sk or settings.access_token or elsewhere else ["v2"]


def _targets(settings: Settings) -> list[_Target]:
    """The addresses the keys there are would go to; without keys, that of V2."""
    wires = [wire for wire in _wires(settings) if available(settings, wire)] or ["v2"]
    headers = {"Content-Type": "application/json"}
    found = [
        _Target(wire, Outgoing("POST", *settings.place_of(wire, V1_ENDPOINT), {}, headers, b"{}")) for wire in wires
    ]
    if settings.access_key and settings.secret_key:
        found.append(_Target("token", Outgoing("GET", settings.iam_base_url, "/v1/BCE-BEARER/token", {}, headers)))
    return found


async def _look(network: Network, settings: Settings, target: _Target, clock: Clock) -> list[DiagnosisFinding]:
    outgoing = target.outgoing
    proxy = _proxy(network, outgoing.base)
    found: list[DiagnosisFinding] = []
    if proxy:
        values = {"host": outgoing.host, "proxy": shown_address(proxy)}
        found.append(DiagnosisFinding("proxy", "ok", Text("check.proxy", values)))
    try:
        status, headers, body = await network.fetch(outgoing, CHECK_TIMEOUT_S, "timeout.reach")
    except QianfanError as error:
        topic: Topic = "reach"
        topic = "certificates" if error.key in ("connect.certificate", "connect.bundle") else topic
        topic = "proxy" if error.key.startswith(("connect.proxy", "connect.socks")) else topic
        return [*found, DiagnosisFinding(topic, "error", error)]
    payload = read_object(body)
    said = gateway_error(status, headers) or service_error(target.wire, payload, status=status)
    if target.wire == "v1" and v1_ended(settings, said, status, body):
        found.append(DiagnosisFinding("v1", "warning", Text("check.v1_gone", {"host": outgoing.host})))
    elif payload or said is not None:
        found.append(DiagnosisFinding("reach", "ok", Text("check.reached", {"host": outgoing.host})))
    else:
        start = " ".join(body[:400].decode("utf-8", "replace").split())[:80]
        way = Text("check.in_the_way", {"host": outgoing.host, "status": status, "start": start})
        found.append(DiagnosisFinding("proxy" if proxy else "reach", "error", way))
    hint = clock_hint(headers, clock())
    return [*found, DiagnosisFinding("clock", "warning", hint)] if hint else found


def _proxy(network: Network, address: str) -> str:
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return ""
    return network.proxy_for(parts.scheme, parts.hostname or "", port)
