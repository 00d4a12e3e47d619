"""The envelopes of a JSON Schema, and the requests of earlier versions."""

import pytest

from qfmagic.core.i18n import text
from qfmagic.core.models import registry
from qfmagic.core.plan import plan_request
from qfmagic.core.wire.json_format import as_earlier_versions, in_other_envelope

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}
WRAPPED = {"name": "answer", "schema": SCHEMA, "strict": True}


def asking(json_schema):
    return {"model": "m", "response_format": {"type": "json_schema", "json_schema": json_schema}}


def test_envelopes_are_each_others_other():
    assert in_other_envelope(asking(WRAPPED)) == asking(SCHEMA)
    assert in_other_envelope(asking(SCHEMA)) == asking(WRAPPED)


@pytest.mark.parametrize(
    "body", [{}, {"response_format": "json_object"}, {"response_format": {"type": "json_object"}}, asking("x")]
)
def test_other_requests_have_no_other_envelope(body):
    assert in_other_envelope(body) is None


def planned(prompt, **parameters):
    return plan_request(registry().target("nobody"), prompt, parameters=parameters).request


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_questions_with_a_schema_are_found_as_earlier_versions_sent_them(lang):
    prompt = f"Rate it.\n\n{text('schema.instruction', lang)}\n{{}}"
    plain, of_object = planned(prompt), planned(prompt, response_format="json_object")
    native = planned(prompt, response_format=asking(WRAPPED)["response_format"])
    assert [one.hash for one in as_earlier_versions(native)] == [of_object.hash, plain.hash]
    assert [one.hash for one in as_earlier_versions(of_object)] == [plain.hash]
    assert [*as_earlier_versions(plain)] == []


def test_response_format_of_the_user_has_one_envelope():
    assert [*as_earlier_versions(planned("Rate it.", response_format="json_object"))] == []
    assert [*as_earlier_versions(planned("hi", extra={"response_format": 5}))] == []
