"""Passes events on: to a queue, to another service, or to nobody."""

import asyncio
from functools import cached_property

import boto3
import httpx
import requests
import structlog

from .events import Event
from .settings import Settings

log = structlog.get_logger(__name__)


class Delivery:
    """Where events go from here."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._http = httpx.AsyncClient(timeout=10)

    @cached_property
    def _queue(self):
        # Made when first needed: without a queue, no AWS region or credentials are asked for.
        return boto3.client("sqs")

    async def send(self, event: Event) -> None:
        """Sends the event wherever the settings say. Failures are logged: the sender did its part."""
        body = event.model_dump_json()
        try:
            if self._settings.queue_url:
                await asyncio.to_thread(self._queue.send_message, QueueUrl=self._settings.queue_url, MessageBody=body)
            if self._settings.forward_url:
                answer = await self._http.post(
                    self._settings.forward_url, content=body, headers={"content-type": "application/json"}
                )
                answer.raise_for_status()
        except Exception:
            log.exception("delivery_failed", event_type=event.type)

    def reachable(self) -> bool:
        """Tells whether the service that events are forwarded to answers at all."""
        if not self._settings.forward_url:
            return True
        try:
            return requests.head(self._settings.forward_url, timeout=3).status_code < 500
        except requests.RequestException:
            return False

    async def close(self) -> None:
        await self._http.aclose()
