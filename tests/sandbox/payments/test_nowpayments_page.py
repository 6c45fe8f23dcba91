"""The pay page in a browser: a person pays, and does what people do wrong."""

from __future__ import annotations

import aiohttp
import pytest
from playwright.async_api import Page, expect

from sandbox.payments.nowpayments.server import NowPaymentsSandbox
from tests.browser.conftest import browser, context, page
from tests.sandbox.payments.nowpayments_kit import Client

__all__ = ["browser", "context", "page"]
