"""The service: `python -m src.app`, or `gunicorn -k uvicorn.workers.UvicornWorker 'src.app:create_app()'`."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
import uvicorn
from fastapi import BackgroundTasks, FastAPI, HTTPException, Request, Response
from lxml.etree import XMLSyntaxError
from pydantic import ValidationError

from . import logs, settings, verification
from .delivery import Delivery
from .events import Event, Recent, from_xml

log = structlog.get_logger(__name__)
MAX_BODY = 1 << 20


def create_app(config: settings.Settings | None = None) -> FastAPI:
    """Returns the application; without `config`, the environment decides."""
    config = config or settings.from_environment()
    logs.configure(config.log_level)
    recent = Recent()
    delivery = Delivery(config)
    started = time.monotonic()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        log.info("started", version=config.version, port=config.port)
        yield
        await delivery.close()
        log.info("stopped")

    app = FastAPI(title="webhook", version=config.version, lifespan=lifespan)

    @app.get("/health")
    async def health() -> dict[str, object]:
        return {"status": "healthy", "version": config.version, "uptime": round(time.monotonic() - started, 3)}

    @app.get("/ready")
    def ready(response: Response) -> dict[str, bool]:
        reachable = delivery.reachable()
        response.status_code = 200 if reachable else 503
        return {"ready": reachable}

    @app.get("/events")
    async def events() -> list[Event]:
        return recent.newest_first()

    @app.post("/webhook", status_code=202)
    async def webhook(request: Request, tasks: BackgroundTasks) -> dict[str, str]:
        """Takes a JSON or XML event signed with the shared secret."""
        if not config.secret:
            raise HTTPException(503, "WEBHOOK_SECRET is not set")
        body = await bounded(request)
        header = request.headers.get
        try:
            verification.check_hmac(
                config.secret,
                header("webhook-id", ""),
                header("webhook-timestamp", ""),
                header("webhook-signature", ""),
                body,
            )
        except verification.Rejected as reason:
            log.warning("rejected", reason=str(reason), message_id=header("webhook-id"))
            raise HTTPException(401, str(reason)) from None
        is_xml = header("content-type", "").split(";")[0].endswith("xml")
        return accept(body, is_xml, tasks)

    @app.post("/webhook/jws", status_code=202)
    async def webhook_jws(request: Request, tasks: BackgroundTasks) -> dict[str, str]:
        """Takes a JSON event as the payload of a compact JWS."""
        if not config.public_key:
            raise HTTPException(503, "WEBHOOK_PUBLIC_JWK is not set")
        token = (await bounded(request)).decode("ascii", "replace").strip()
        try:
            payload = verification.open_jws(config.public_key, token)
        except verification.Rejected as reason:
            log.warning("rejected", reason=str(reason))
            raise HTTPException(401, str(reason)) from None
        return accept(payload, False, tasks)

    async def bounded(request: Request) -> bytes:
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_BODY:
                raise HTTPException(413, f"more than {MAX_BODY} bytes")
        return body

    def accept(body: bytes, is_xml: bool, tasks: BackgroundTasks) -> dict[str, str]:
        try:
            event = from_xml(body) if is_xml else Event.model_validate_json(body)
        except (ValidationError, XMLSyntaxError) as error:
            raise HTTPException(422, f"not an event: {type(error).__name__}") from None
        recent.add(event)
        log.info("accepted", event_type=event.type)
        tasks.add_task(delivery.send, event)
        return {"accepted": event.type}

    return app


def main() -> None:
    """Serves until SIGTERM or SIGINT; uvicorn lets running requests end first."""
    config = settings.from_environment()
    uvicorn.run(create_app(config), host="0.0.0.0", port=config.port, log_config=None, timeout_graceful_shutdown=10)


if __name__ == "__main__":
    main()
