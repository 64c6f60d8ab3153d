"""What the environment says: nothing is read from or written to disk."""

import os
from dataclasses import dataclass

VERSION = "1.0.0"


@dataclass(frozen=True)
class Settings:
    """The service's settings; secrets stay out of its representation and so out of logs."""

    port: int
    version: str
    log_level: str
    secret: str | None
    public_key: str | None
    queue_url: str | None
    forward_url: str | None

    def __repr__(self) -> str:
        return f"Settings(port={self.port}, version={self.version!r}, log_level={self.log_level!r})"


def from_environment() -> Settings:
    """Reads the settings; every one has a default, so that the container is healthy before it is configured."""
    get = os.environ.get
    return Settings(
        port=int(get("PORT") or "5000"),
        version=get("BUILD_VERSION") or VERSION,
        log_level=(get("LOG_LEVEL") or "INFO").upper(),
        secret=get("WEBHOOK_SECRET") or None,
        public_key=get("WEBHOOK_PUBLIC_JWK") or None,
        queue_url=get("WEBHOOK_QUEUE_URL") or None,
        forward_url=get("WEBHOOK_FORWARD_URL") or None,
    )
