"""What a webhook says, in JSON or XML, and the few that are remembered."""

from collections import deque
from datetime import datetime, timezone
from typing import Any

from lxml import etree
from pydantic import BaseModel, Field


class Event(BaseModel):
    """One event as senders describe it."""

    type: str = Field(min_length=1, max_length=200)
    data: dict[str, Any] = Field(default_factory=dict)
    received: datetime = Field(default_factory=lambda: datetime.now(timezone.utc))


def from_xml(body: bytes) -> Event:
    """Reads `<event type="..."><name>value</name>...</event>`."""
    # No network, no entities: the sender is authenticated but not trusted with our memory.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    root = etree.fromstring(body, parser)
    return Event(type=root.get("type", ""), data={child.tag: child.text for child in root if isinstance(child.tag, str)})


class Recent:
    """The last events, in memory only."""

    def __init__(self, size: int = 100) -> None:
        self._events: deque[Event] = deque(maxlen=size)

    def add(self, event: Event) -> None:
        self._events.append(event)

    def newest_first(self) -> list[Event]:
        return list(reversed(self._events))
