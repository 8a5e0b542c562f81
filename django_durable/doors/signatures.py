"""How a message to the webhook is signed: HMAC-SHA256 over where it goes and what it says.

The signed text is five parts with a line break after each of the first four: the
timestamp (seconds since 1970), the id of the event (empty without one), the id of the
execution, the name of the event, and the body as it is sent.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

VERSION = "v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is signed, with all of it as the sender has written it."""

    timestamp: str
    execution: str
    name: str
    body: bytes
    event_id: str = ""

    def signed_bytes(self) -> bytes:
        """Return what the signature is made of."""
        head = (self.timestamp, self.event_id, self.execution, self.name)
        return "".join(f"{part}\n" for part in head).encode() + self.body

    def digest(self) -> str:
        """Return what tells this message from all others, whoever has signed it."""
        return hashlib.sha256(self.signed_bytes()).hexdigest()


def sign(message: Message, key: str) -> str:
    """Return the signature of a message, as its header has it."""
    mac = hmac.new(key.encode(), message.signed_bytes(), hashlib.sha256)
    return f"{VERSION}={mac.hexdigest()}"


def is_signed(message: Message, signature: str, keys: Iterable[str]) -> bool:
    """Say whether one of the keys has signed a message, in the same time for all."""
    given = signature.encode()
    right = [hmac.compare_digest(given, sign(message, key).encode()) for key in keys]
    return any(right)
