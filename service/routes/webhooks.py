"""What receivers of webhooks are sent. For the OpenAPI document: nothing here is served."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header

from service.schemas import WebhookPayload

router = APIRouter(tags=["webhooks"])

ID = "the same at every attempt: receivers tell repeats by it"
SIGNATURE = "v1,... of HMAC-SHA256, in base64; several, separated by spaces, while secrets are rotated"


@router.post(
    "generationDone",
    operation_id="receiveGenerationDone",
    status_code=204,
    response_description="Any 2xx: it is not sent again",
    responses={
        410: {"description": "It is given up at once"},
        "default": {"description": "Anything else, redirects too: it is sent again, ten times in about two hours"},
    },
    openapi_extra={"x-internal": True},  # else openapi-generator makes a client method of it
)
def receive_generation_done(
    payload: WebhookPayload,
    webhook_id: Annotated[str, Header(alias="webhook-id", description=ID)],
    webhook_timestamp: Annotated[str, Header(alias="webhook-timestamp", description="seconds since 1970")],
    webhook_signature: Annotated[str, Header(alias="webhook-signature", description=SIGNATURE)],
) -> None:
    """A generation has ended: posted to the URL in `webhook` of its request, signed as Standard Webhooks says."""
