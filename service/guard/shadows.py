"""Shadows: what a person did where Suture had a first choice of its own and did not act by itself."""

from __future__ import annotations

from collections.abc import Sequence

from models.domain.base import Clock
from models.domain.errors import BadInput, Conflict, NotFound
from models.domain.execution import Execution, Shadow
from models.domain.incident import Incident
from models.domain.recommendation import Candidate, Recommendation
from models.ranking.abstention import worth_trying
from service.guard.autonomy import Levels
from service.settings import Settings
from service.store.executions import Executions
from service.store.incidents import Incidents, incident_number
from service.store.recommendations import Recommendations

OTHER = "other"
"""How a person names what Suture did not recommend."""


class Shadows:
    """Compares what people do with what Suture would have done first: one comparison an episode, the first."""

    def __init__(
        self,
        levels: Levels,
        incidents: Incidents,
        executions: Executions,
        recommendations: Recommendations,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._levels = levels
        self._incidents = incidents
        self._executions = executions
        self._recommendations = recommendations
        self._settings = settings
        self._clock = clock

    def word(self, execution: Execution, episode: int, *, agreed: bool, by: Sequence[str]) -> None:
        """People's yes or no to an execution; it counts where Suture would have begun with that one.

        A word on what a person had asked for, or on what comes after the first choice, says nothing of that choice.
        """
        if execution.requested_by is not None:
            return
        first = self._first(self._recommendation(execution.incident, episode))
        if first is None or first.hash != execution.candidate.hash:
            return
        self._levels.watch(self._shadow(first, episode, agreed=agreed, by=", ".join(by)))

    def taken(self, incident_id: str, said: str, by: str, comment: str = "") -> Shadow:
        """What a person says they did: `RUNBOOK/ACTION` of the recommendation, or `other`.

        Raises NotFound, BadInput for what is neither, or Conflict where there is nothing to compare with: Suture had no
        first choice, did it by itself, or heard a person's word already.
        """
        incident = self._incidents.get(incident_id)
        made = self._recommendation(incident_id, incident.episode)
        first = self._first(made)
        if made is None or first is None:
            raise Conflict(f"{incident_id}: Suture would have done nothing here, so there is nothing to compare with")
        known = dict.fromkeys(_name(one.candidate) for one in made.candidates)
        if said != OTHER and said not in known:
            raise BadInput(f"{said!r} was no candidate here; say {', '.join(known)} or {OTHER}")
        self._refuse_own_act(incident, made)
        agreed = said == _name(first)
        shadow = self._shadow(first, incident.episode, agreed=agreed, by=by)
        what = "something else" if said == OTHER else said
        choice = ", what Suture would have done first" if agreed else f"; Suture would have begun with {_name(first)}"
        text = f"{by} did {what}{choice}"
        if not self._levels.watch(shadow, f"{text}: {comment}" if comment else text, comment):
            raise Conflict(f"{incident_id}: a person's choice is recorded already, and it is the first that counts")
        return shadow

    def _refuse_own_act(self, incident: Incident, made: Recommendation) -> None:
        own = f"EXE-{made.id.removeprefix('REC-')}-"
        for _, execution in self._executions.page(incident=incident.id, limit=100):
            if execution.id.startswith(own) and execution.begun:
                raise Conflict(f"{incident.id}: Suture acted here itself ({execution.id})")

    def _recommendation(self, incident_id: str, episode: int) -> Recommendation | None:
        try:
            return self._recommendations.get(f"REC-{incident_number(incident_id)}-{episode}")
        except NotFound:
            return None

    def _first(self, made: Recommendation | None) -> Candidate | None:
        """What Suture would have begun with."""
        if made is None or made.abstained:
            return None
        places = worth_trying(made.candidates, self._settings.abstain_below)
        return made.candidates[places[0]].candidate if places else None

    def _shadow(self, first: Candidate, episode: int, *, agreed: bool, by: str) -> Shadow:
        return Shadow(
            incident=first.incident,
            episode=episode,
            runbook=first.runbook,
            action=first.action,
            environment=first.environment,
            agreed=agreed,
            by=by,
            at=self._clock(),
        )


def _name(candidate: Candidate) -> str:
    return f"{candidate.runbook}/{candidate.action}"
