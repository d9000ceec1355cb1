"""Rights: once, for a minute, for one session, and never kept in the clear."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from instantiator.session.tickets import TicketRefused, Tickets
from tests.fakes_session import NOON


@pytest.fixture
def tickets(tmp_path: Path) -> Tickets:
    return Tickets(tmp_path / "tickets.sqlite")


def test_a_ticket_opens_its_session_once(tickets: Tickets) -> None:
    ticket = tickets.issue_ticket("caroline", "s1", view_only=True, now=NOON)
    right = tickets.redeem_ticket(ticket.text, "s1", now=NOON)
    assert (right.user, right.view_only) == ("caroline", True)
    with pytest.raises(TicketRefused):
        tickets.redeem_ticket(ticket.text, "s1", now=NOON)


def test_a_ticket_is_too_old_after_a_minute(tickets: Tickets) -> None:
    ticket = tickets.issue_ticket("caroline", "s1", view_only=False, now=NOON)
    with pytest.raises(TicketRefused):
        tickets.redeem_ticket(ticket.text, "s1", now=NOON + timedelta(seconds=60))


def test_a_ticket_shown_for_another_session_is_refused_and_used_up(tickets: Tickets) -> None:
    ticket = tickets.issue_ticket("caroline", "s1", view_only=False, now=NOON)
    for session in ("s2", "s1"):
        with pytest.raises(TicketRefused):
            tickets.redeem_ticket(ticket.text, session, now=NOON)


def test_of_two_who_redeem_at_once_one_gets_in(tickets: Tickets) -> None:
    ticket = tickets.issue_ticket("caroline", "s1", view_only=False, now=NOON)

    def redeem(_: int) -> bool:
        try:
            tickets.redeem_ticket(ticket.text, "s1", now=NOON)
        except TicketRefused:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(redeem, range(16))) == 1


def test_the_file_does_not_hold_the_ticket(tickets: Tickets, tmp_path: Path) -> None:
    ticket = tickets.issue_ticket("caroline", "s1", view_only=False, now=NOON)
    assert ticket.text.encode() not in (tmp_path / "tickets.sqlite").read_bytes()
