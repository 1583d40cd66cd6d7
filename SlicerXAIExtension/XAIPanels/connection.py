"""The one connection of all panels: address, token, and the client of the server that has answered. Without Qt."""

from __future__ import annotations

from typing import Any, Protocol

from XAILib.client import Client
from XAILib.errors import ServerError


class Bar(Protocol):
    """The part of a panel that shows the connection."""

    def follow_text(self, url: str, token: str) -> None:
        """Somebody has written another address or token elsewhere."""
        ...

    def follow_connected(self) -> None:
        """Somebody has connected elsewhere: connect too."""
        ...

    def follow_lost(self, error: ServerError) -> None:
        """Somebody has lost the connection elsewhere."""
        ...


class Connection:
    """Tells every bar what happened in one of them.

    Attributes:
        url, token: as written now; the token is never saved. None and empty before anybody has written or connected.
        client: of the connected server; None while there is none.
    """

    def __init__(self) -> None:
        self.url: str | None = None
        self.token = ""
        self.client: Client | None = None
        self._bars: list[Bar] = []

    def join(self, bar: Bar) -> None:
        """Another panel shows the connection."""
        self._bars.append(bar)

    def part(self, bar: Bar) -> None:
        """A panel was closed; the connection stays."""
        self._bars = [one for one in self._bars if one is not bar]

    def edited(self, by: Bar, url: str, token: str) -> None:
        """Another address or token was written: what is connected is not what is written any more."""
        self.url, self.token, self.client = url, token, None
        for bar in self._others(by):
            bar.follow_text(url, token)

    def connected(self, by: Bar, client: Client, url: str, token: str) -> None:
        """A server has answered."""
        self.url, self.token, self.client = url, token, client
        for bar in self._others(by):
            bar.follow_connected()

    def lost(self, by: Bar, error: ServerError) -> None:
        """The server cannot be asked any more."""
        self.client = None
        for bar in self._others(by):
            bar.follow_lost(error)

    def client_for(self, url: str) -> Client | None:
        """The client of a server, only while the panels are connected to it."""
        return self.client if self.client is not None and self.client.url == url else None

    def _others(self, by: Any) -> list[Bar]:
        return [bar for bar in self._bars if bar is not by]
