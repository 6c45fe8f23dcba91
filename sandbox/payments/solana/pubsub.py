"""Subscriptions over one WebSocket: told once the cluster reaches the commitment that was asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any

from solders.account import Account
from solders.pubkey import Pubkey
from solders.signature import Signature

from sandbox.payments.solana import params as read
from sandbox.payments.solana import rpc
from sandbox.payments.solana.accounts import Moment
from sandbox.payments.solana.cluster import Commitment
from sandbox.payments.solana.errors import INVALID_REQUEST, METHOD_NOT_FOUND, RpcError, invalid_params
from sandbox.payments.solana.methods import encoding as written
from sandbox.payments.solana.params import Params
from sandbox.payments.solana.tokens import JsonObject
from sandbox.payments.solana.view import View, with_context

_ids = count(1)
_MORE_THAN_A_SLOT_HOLDS = 10**9


@dataclass(kw_only=True, slots=True)
class Subscription:
    kind: str
    """The method that ends it is named after it."""
    commitment: Commitment
    told: Moment
    """Up to here the client knows."""
    signature: Signature | None = None
    key: Pubkey | None = None
    """Of an account, or what transactions must mention; None: all of them."""
    encoding: str = "base58"
    announces_receipt: bool = False
    last: Account | None = None
    id: int = field(default_factory=lambda: next(_ids))


class Connection:
    """What one client has subscribed to. `send` takes one frame and returns at once."""

    def __init__(self, view: View, send: Callable[[str], None]) -> None:
        self._view = view
        self._send = send
        self._subscriptions: dict[int, Subscription] = {}
        self._subscribe: dict[str, Callable[[Any], Subscription]] = {
            "signatureSubscribe": self._to_signature,
            "accountSubscribe": self._to_account,
            "logsSubscribe": self._to_logs,
            "slotSubscribe": partial(self._to_slots, "slot"),
            "rootSubscribe": partial(self._to_slots, "root"),
        }

    def hear(self, frame: str | bytes) -> None:
        number: Any = None
        try:
            request = _read_one(frame)
            number = request.get("id")
            result, added = self._call(request.get("method"), request.get("params"))
        except RpcError as error:
            self._send(json.dumps(rpc.failure(number, error)))
            return
        self._send(json.dumps({"jsonrpc": "2.0", "result": result, "id": number}))
        if added is not None:
            self._subscriptions[added.id] = added
            if added.announces_receipt:
                self._notify(added, with_context(self._view.slot(Commitment.PROCESSED), "receivedSignature"))
            self.poll()

    def poll(self) -> None:
        """Tell what is new at each subscription's commitment."""
        if self._view.faults.silent_subscriptions:
            return
        tellers = {
            "signature": self._tell_signature,
            "account": self._tell_account,
            "logs": self._tell_logs,
            "slot": self._tell_slot,
            "root": self._tell_slot,
        }
        for subscription in list(self._subscriptions.values()):
            tellers[subscription.kind](subscription)

    def _call(self, method: Any, raw: Any) -> tuple[Any, Subscription | None]:
        if method in self._subscribe:
            added = self._subscribe[method](raw)
            return added.id, added
        if isinstance(method, str) and method.endswith("Unsubscribe"):
            number = Params(raw, least=1, most=1).at(0)
            known = self._subscriptions.get(number)
            if known is None or method != f"{known.kind}Unsubscribe":
                raise invalid_params("Invalid subscription id.")
            del self._subscriptions[number]
            return True, None
        raise RpcError(METHOD_NOT_FOUND, "Method not found")

    def _to_signature(self, raw: Any) -> Subscription:
        params = Params(raw, least=1, most=2)
        config = params.config(1)
        return Subscription(
            kind="signature",
            commitment=config.commitment(),
            told=_end_of(0),
            signature=params.signature(0),
            announces_receipt=config.flag("enableReceivedNotification"),
        )

    def _to_account(self, raw: Any) -> Subscription:
        params = Params(raw, least=1, most=2)
        config, key = params.config(1), params.pubkey(0)
        commitment = config.commitment()
        slot = self._view.slot(commitment)
        return Subscription(
            kind="account",
            commitment=commitment,
            told=_end_of(slot),
            key=key,
            encoding=config.choice("encoding", written.ACCOUNT_ENCODINGS, "binary"),
            last=self._view.account(key, slot),
        )

    def _to_logs(self, raw: Any) -> Subscription:
        params = Params(raw, least=1, most=2)
        commitment = params.config(1).commitment()
        match params.at(0):
            case "all" | "allWithVotes":
                key = None
            case {"mentions": [one]}:
                key = read.pubkey(one)
            case {"mentions": [*_]}:
                raise invalid_params("Invalid Request: Only 1 address supported")
            case _:
                raise invalid_params("Invalid params: expected `all`, `allWithVotes` or a map with `mentions`.")
        slot = self._view.slot(commitment)
        told = _end_of(slot)
        if commitment is Commitment.PROCESSED:  # this slot is still being filled
            told = Moment(slot, self._view.cluster.ledger.next_index(slot) - 1)
        return Subscription(kind="logs", commitment=commitment, told=told, key=key)

    def _to_slots(self, kind: str, raw: Any) -> Subscription:
        Params(raw, most=0)
        commitment = Commitment.PROCESSED if kind == "slot" else Commitment.FINALIZED
        return Subscription(kind=kind, commitment=commitment, told=_end_of(self._view.slot(commitment)))

    def _tell_signature(self, subscription: Subscription) -> None:
        if subscription.signature is None:
            return
        entry = self._view.find(subscription.signature, subscription.commitment)
        if entry is not None:
            del self._subscriptions[subscription.id]  # it is told once
            self._notify(subscription, with_context(entry.slot, {"err": entry.outcome.err}))

    def _tell_account(self, subscription: Subscription) -> None:
        slot = self._view.slot(subscription.commitment)
        if subscription.key is None:
            return
        account = self._view.account(subscription.key, slot)
        if account == subscription.last:
            return
        subscription.last = account
        shown = account or Account(0, b"", Pubkey.default())
        value = written.account(self._view, slot, shown, subscription.encoding)
        self._notify(subscription, with_context(slot, value))

    def _tell_logs(self, subscription: Subscription) -> None:
        slot = self._view.slot(subscription.commitment)
        for entry in self._view.cluster.ledger.after(subscription.told, slot):
            subscription.told = entry.moment
            if subscription.key is None or subscription.key in entry.keys:
                value = {"signature": str(entry.signature), "err": entry.outcome.err, "logs": entry.outcome.logs}
                self._notify(subscription, with_context(entry.slot, value))

    def _tell_slot(self, subscription: Subscription) -> None:
        slot = self._view.slot(subscription.commitment)
        for each in range(subscription.told.slot + 1, slot + 1):
            root = self._view.slot(Commitment.FINALIZED)
            value = each if subscription.kind == "root" else {"parent": each - 1, "root": root, "slot": each}
            self._notify(subscription, value)
        subscription.told = _end_of(slot)

    def _notify(self, subscription: Subscription, result: Any) -> None:
        body: JsonObject = {"result": result, "subscription": subscription.id}
        self._send(json.dumps({"jsonrpc": "2.0", "method": f"{subscription.kind}Notification", "params": body}))


def _read_one(frame: str | bytes) -> JsonObject:
    request = rpc.read(frame.encode() if isinstance(frame, str) else frame)
    if isinstance(request, list):
        raise RpcError(INVALID_REQUEST, "Invalid request")
    return request


def _end_of(slot: int) -> Moment:
    return Moment(slot, _MORE_THAN_A_SLOT_HOLDS)
