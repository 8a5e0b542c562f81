"""What a browser has to complain about."""

from __future__ import annotations

from typing import Any

REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => console.error(
    `policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


class Watch:
    """Errors of scripts, in the console, of the policy, and answers that are errors."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self._forgiven: set[int] = set()

    def forgive(self, *statuses: int) -> None:
        """Take these statuses for what the test wants."""
        self._forgiven.update(statuses)

    def look_at(self, context: Any) -> None:
        """Note what the pages of a browser complain about from now on."""
        context.add_init_script(REPORT_VIOLATIONS)
        context.on("console", self._hear)
        context.on("weberror", lambda found: self._note("script", found.error))
        context.on("response", self._receive)

    def _hear(self, message: Any) -> None:
        # The console repeats each answer that is an error, which is noted already.
        if message.type in ("error", "warning") and "status of" not in message.text:
            self._note(message.type, message.text)

    def _receive(self, response: Any) -> None:
        if response.status >= 400 and response.status not in self._forgiven:
            self._note(str(response.status), response.url)

    def _note(self, kind: str, text: object) -> None:
        self.complaints.append(f"{kind}: {' '.join(str(text).split())}")
