"""A reader of a page, who types every command of it in order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Self

from page_host import Host

from model import page
from model.page import Command


class Reader:
    """Types the commands of the page *name* that are *chosen*, but for those that are shown ELSEWHERE.

    Each has to end with exit code 0, and to print what the page shows. *hosts* are the addresses of the
    hosts that the page names before its prompts.
    """

    def __init__(
        self, name: str, hosts: Iterable[str] = (), *, chosen: Callable[[str], bool] = lambda _: True
    ) -> None:
        self.text = (page.ROOT / name).read_text()
        self._waiting = [
            each for each in page.commands(self.text) if page.is_for_tests(name, each) and chosen(each.text)
        ]
        self._stack = ExitStack()
        self._host_by_address = {address: self.host(f"h{n}", address) for n, address in enumerate(hosts, 1)}

    def host(self, name: str = "c1", address: str = "192.0.2.1") -> Host:
        """Start a host for commands."""
        host = Host(name, address)
        self._stack.callback(host.close)
        return host

    def named(self, address: str) -> Host:
        return self._host_by_address[address]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stack.close()
        assert kind is not None or not self._waiting, f"not typed: {self._waiting}"

    def type(
        self,
        host: Host | None = None,
        *,
        until: str | None = None,
        before: Mapping[str, str] | None = None,
        codes: Mapping[str, int] | None = None,
        replace: Mapping[str, str] | None = None,
        numbers: Iterable[str] = (),
    ) -> list[str]:
        """Type the commands up to and with the one that begins with *until*, or all that are left.

        All are typed at *host*, but for those that the page shows at a host of their own. *before* is what
        happens before a command, and *codes* are the exit codes other than 0, both by how the command begins.
        *replace* has what the reader writes for placeholders. *numbers* are those in the output that differ
        each time. Return what each one printed.
        """
        printed = []
        while self._waiting:
            command = self._waiting.pop(0)
            for start, script in (before or {}).items():
                if command.text.startswith(start):
                    assert host is not None
                    host.do(script)
            code = next((c for start, c in (codes or {}).items() if command.text.startswith(start)), 0)
            printed.append(self._type(command, host, code, replace or {}, numbers))
            if until is not None and command.text.startswith(until):
                return printed
        assert until is None, f"the page has no command {until}"
        return printed

    def type_from_text(self, host: Host, start: str, replace: Mapping[str, str] | None = None) -> str:
        """Type the one command in the text of the page that begins with *start*; return what it printed."""
        (found,) = {text for text in page.commands_in_text(self.text) if text.startswith(start)}
        return self._type(Command(found), host, 0, replace or {}, ())

    def _type(
        self,
        command: Command,
        host: Host | None,
        code: int,
        replace: Mapping[str, str],
        numbers: Iterable[str],
    ) -> str:
        text = command.text
        for placeholder, value in replace.items():
            text = text.replace(placeholder, value)
        at = self._host_by_address[command.host] if command.host else host
        assert at is not None, f"no host to type {text}"
        goes_on = "--watch" in text.split()
        seen, printed = at.run_until_it_speaks(text) if goes_on else at.run(text)
        if goes_on:
            assert printed, text
        else:
            assert seen == code, (text, seen, printed)
        if command.said is not None:
            shown = re.escape(command.said)
            for number in numbers:
                shown = shown.replace(re.escape(number), r"\d[\d,]*")
            assert re.fullmatch(shown, printed), f"{text}\nprinted:\n{printed}the page shows:\n{command.said}"
        return printed
