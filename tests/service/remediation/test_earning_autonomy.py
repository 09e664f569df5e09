"""Whole remediations whose outcomes and people's words change what the next incident may do without a person."""

import pytest

from models.domain.errors import BadInput, Conflict
from models.domain.execution import ExecutionState as E
from service.guard.autonomy import place_of
from service.store.autonomy import Place
from service.store.keys import Role

FIX = Place("fix-shop", "fix", "default")


@pytest.fixture
def start(installation, database_url):
    def start(**changes):
        return installation(database_url=database_url, **changes).start()

    return start


def test_what_did_not_help_needs_an_approval_the_next_time(start, make_runbook):
    make_runbook()
    suture = start()
    suture.measure(0)
    first = suture.ended(suture.alert(), "escalated")
    assert suture.executions(first.id)[0].decision.verdict == "permit"
    [told] = [entry.text for entry in first.timeline if entry.kind == "autonomy"]
    assert told == "fix-shop/fix in default: auto → approve: EXE-1-1-1 was not verified healthy"
    suture.measure(1)
    second = suture.ended(suture.alert(service="warehouse"), "awaiting_approval")
    [waiting] = suture.executions(second.id)
    assert suture.ledger() == ["shop"]
    suture.parts.approvals.give(waiting.id, approved=True, by="ann", role=Role.APPROVER)
    suture.ended(second.id, "resolved")
    assert suture.ledger() == ["shop", "shop"]

    def commented():
        reference = suture.parts.incidents.ticket(first.id)
        ticket = suture.parts.ticketing.get_ticket(reference) if reference else None
        return next((c.text for c in ticket.comments if "auto → approve" in c.text), None) if ticket else None

    assert suture.until(commented, "the ticket was not told")
    assert suture.parts.audit.verify().breaks == ()


@pytest.mark.parametrize(
    ("verb", "rollback", "ended", "level"),
    [
        ("write", 'rollback: {uses: ledger/write, with: {name: "undo"}}', E.ROLLED_BACK, "approve"),
        ("doubt", "", E.UNCERTAIN, "approve"),
        ("refuse", "", E.FAILED, "auto"),
    ],
)
def test_what_takes_autonomy_back(installation, make_runbook, verb, rollback, ended, level):
    make_runbook(verb=verb, rollback=rollback, reversible="true")
    suture = installation().start()
    suture.measure(0)
    incident = suture.ended(suture.alert(), "escalated")
    assert suture.executions(incident.id)[0].state is ended
    assert suture.parts.levels.look(FIX).level == level


def test_approved_and_verified_executions_earn_auto(installation, make_runbook):
    """The bar is low here: three are enough."""
    make_runbook()
    suture = installation(autonomy={"start": "approve", "bar": 0.2}).start()
    suture.measure(1)
    for number in range(3):
        incident = suture.ended(suture.alert(service=f"shop-{number}"), "awaiting_approval")
        [waiting] = suture.executions(incident.id)
        suture.parts.approvals.give(waiting.id, approved=True, by="ann", role=Role.APPROVER)
        last = suture.ended(incident.id, "resolved")
    assert [entry.data["to"] for entry in last.timeline if entry.kind == "autonomy"] == ["auto"]
    alone = suture.ended(suture.alert(service="another"), "resolved", "awaiting_approval")
    assert alone.status == "resolved"
    assert len(suture.ledger()) == 4


def test_a_persons_word_on_the_first_candidate_is_a_shadow(installation, make_runbook):
    make_runbook("fix-shop")
    make_runbook("fix-shop-otherwise", target="other")
    suture = installation(mode="approve").start()
    suture.measure(1)
    incident = suture.ended(suture.alert(), "awaiting_approval")
    [first] = suture.executions(incident.id)
    suture.parts.approvals.give(first.id, approved=False, by="ann", role=Role.APPROVER)
    second = suture.until(
        lambda: found[1] if len(found := suture.executions(incident.id)) == 2 else None, "there was no second candidate"
    )
    suture.parts.approvals.give(second.id, approved=True, by="bob", role=Role.APPROVER)
    suture.ended(incident.id, "resolved")
    rejected, used = (suture.parts.levels.look(place_of(one.candidate)) for one in (first, second))
    assert (rejected.agreed, rejected.disagreed) == (0, 1)
    assert (used.agreed, used.disagreed) == (0, 0), "what comes after the first choice says nothing of it"


class TestWhatAPersonDid:
    @pytest.fixture(params=["observe", "suggest"])
    def suture(self, request, installation, make_runbook):
        make_runbook("fix-shop")
        make_runbook("fix-shop-otherwise", target="other")
        one = installation(mode=request.param, autonomy={"start": request.param}).start()
        one.incident = one.ended(one.alert(), "escalated").id
        made = one.parts.recommendations.latest(one.incident)
        one.first, one.other = (place_of(ranked.candidate) for ranked in made.candidates)
        return one

    def said(self, suture, action, comment=""):
        return suture.parts.shadows.taken(suture.incident, action, "ann", comment)

    def test_the_same_is_agreement(self, suture):
        shadow = self.said(suture, f"{suture.first.runbook}/fix", "by hand")
        assert shadow.agreed
        assert suture.parts.levels.look(suture.first).agreed == 1
        told = suture.parts.incidents.get(suture.incident).timeline[-1]
        assert told.kind == "action-taken"
        assert told.text == f"ann did {suture.first.runbook}/fix, what Suture would have done first: by hand"

    @pytest.mark.parametrize("other", [True, False])
    def test_something_else_is_disagreement_with_the_first_choice(self, suture, other):
        shadow = self.said(suture, "other" if other else f"{suture.other.runbook}/fix")
        assert not shadow.agreed
        assert suture.parts.levels.look(suture.first).disagreed == 1

    def test_only_the_first_word_counts(self, suture):
        self.said(suture, "other")
        with pytest.raises(Conflict, match="recorded already"):
            self.said(suture, f"{suture.first.runbook}/fix")
        assert suture.parts.levels.look(suture.first).agreed == 0

    def test_a_slip_of_the_pen_is_no_disagreement(self, suture):
        with pytest.raises(BadInput, match="was no candidate here; say"):
            self.said(suture, "fix-shop/fxi")
        assert suture.parts.levels.look(suture.first).disagreed == 0

    def test_the_ticket_of_an_observed_incident_recommends_nothing(self, suture):
        kinds = [entry.kind for entry in suture.parts.incidents.get(suture.incident).timeline]
        observed = suture.parts.settings.mode == "observe"
        assert ("recommended" in kinds) is not observed


def test_where_suture_acted_itself_there_is_nothing_to_compare(installation, make_runbook):
    make_runbook()
    suture = installation().start()
    suture.measure(1)
    incident = suture.ended(suture.alert(), "resolved")
    with pytest.raises(Conflict, match="Suture acted here itself"):
        suture.parts.shadows.taken(incident.id, "fix-shop/fix", "ann")


def test_where_suture_knew_nothing_there_is_nothing_to_compare(installation):
    suture = installation(mode="suggest").start()
    incident = suture.ended(suture.alert("NobodyKnowsThis"), "escalated")
    with pytest.raises(Conflict, match="would have done nothing"):
        suture.parts.shadows.taken(incident.id, "other", "ann")
