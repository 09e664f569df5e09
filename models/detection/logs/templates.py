"""The templates of one service: Drain over masked lines, bounded, and as JSON over a restart.

`drain3.drain.Drain` holds the tree. The cache of clusters is ours: it says which templates left, and its order can be
saved, so that after a restart every line finds the same template as without.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drain3.drain import Drain, LogCluster, Node

DEPTH = 5
"""Levels of the tree: root, number of words, level of the line, first word, templates. Drain's own 4, and one for the
level: a line at another level is another template, so that an error never hides in an old template of information."""
SIMILAR = 0.7
"""Share of equal words that makes two lines one template. Masking has taken most of what differs already, and the level
is a word that is equal: the paper's 0.4 to 0.5 makes one template of "connection refused" and "connection reset".
Chosen on every other data set of LogHub, looked at on the others: docs/logs.md."""
CHILDREN = 100
"""The library's default: first words beyond it share a branch."""
KNOWN_LINES = 5000
"""Masked lines whose template is known without the tree, until a template changes."""
EXAMPLE = 300
"""Characters of an example."""


@dataclass
class Template:
    """One template and what is counted of it. Times are unix seconds."""

    id: int
    """Unique within its service for ever."""
    level: str
    count: int
    first_at: float
    last_at: float
    example: str
    """The first line of it, masked and cut."""
    sampled: int = 0
    """The count at the last sample."""
    grew: int = 0
    """Lines between the last two samples."""
    count_late: int = 0
    """Lines that came too late for the series."""

    @property
    def series_value(self) -> int:
        """The cumulative count of the template's series."""
        return self.count - self.count_late


class Held:
    """The mapping that Drain keeps its clusters in: at most `most`, the one not used for longest leaves."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[int, LogCluster] = OrderedDict()
        self.left: list[int] = []
        """Ids that left since this was emptied."""

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, key: int) -> bool:
        return key in self._held

    def __iter__(self) -> Iterator[int]:
        return iter(self._held)

    def __getitem__(self, key: int) -> LogCluster:
        """The cluster, used now."""
        self.use(key)
        return self._held[key]

    def use(self, key: int) -> None:
        """It is the last that leaves."""
        self._held.move_to_end(key)

    def __setitem__(self, key: int, cluster: LogCluster) -> None:
        self._held[key] = cluster
        if len(self._held) > self._most:
            self.left.append(self._held.popitem(last=False)[0])

    def get(self, key: int) -> LogCluster | None:
        """The cluster, not used by that."""
        return self._held.get(key)

    def values(self) -> Iterator[LogCluster]:
        """All clusters, the one not used for longest first."""
        return iter(self._held.values())


class Templates:
    """Gives each line its template. One thread at a time."""

    def __init__(self, most: int) -> None:
        from drain3.drain import Drain

        self._drain: Drain = Drain(depth=DEPTH, sim_th=SIMILAR, max_children=CHILDREN)
        self._held = Held(most)
        self._drain.id_to_cluster = self._held
        self._known: dict[str, int] = {}
        self.by_id: dict[int, Template] = {}

    def add(self, level: str, masked: str, at: float) -> tuple[Template, bool]:
        """The template of a masked line, counted, and whether it is a new one."""
        content = f"{level} {masked}"
        known = self._known.get(content)
        if known is None:
            template, fresh = self._search(content, level, masked, at)
        else:
            template, fresh = self.by_id[known], False
            self._held.use(known)
        template.count += 1
        template.last_at = max(template.last_at, at)
        template.first_at = min(template.first_at, at)
        return template, fresh

    def _search(self, content: str, level: str, masked: str, at: float) -> tuple[Template, bool]:
        cluster, change = self._drain.add_log_message(content)
        if change != "none" or len(self._known) >= KNOWN_LINES:
            self._known.clear()
        self._known[content] = cluster.cluster_id
        if change != "cluster_created":
            return self.by_id[cluster.cluster_id], False
        template = Template(cluster.cluster_id, level, 0, at, at, masked[:EXAMPLE])
        self.by_id[template.id] = template
        for gone in self._held.left:
            del self.by_id[gone]
        self._held.left.clear()
        return template, True

    def words(self, template: Template) -> str:
        """The template as people read it: `<*>` for a word that differed, `<num>` and the like for what was masked."""
        cluster = self._held.get(template.id)
        return " ".join(cluster.log_template_tokens[1:]) if cluster else template.example

    @property
    def made(self) -> int:
        """Templates ever made."""
        return int(self._drain.clusters_counter)

    def dump(self) -> dict[str, Any]:
        """The whole state as JSON: templates in the order of their use, and the tree."""
        rows = [
            [*astuple(self.by_id[cluster.cluster_id]), " ".join(cluster.log_template_tokens)]
            for cluster in self._held.values()
        ]
        return {"made": self.made, "templates": rows, "tree": _tree(self._drain.root_node)}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a dumped state."""
        from drain3.drain import LogCluster

        self._drain.clusters_counter = int(state["made"])
        for *fields, tokens in state["templates"]:
            template = Template(*fields)
            self._held[template.id] = LogCluster(tokens.split(" "), template.id)
            self.by_id[template.id] = template
        for gone in self._held.left:  # of a higher limit than now
            del self.by_id[gone]
        self._held.left.clear()
        self.by_id = dict(sorted(self.by_id.items()))  # as they were made: the order of their series
        self._drain.root_node = _node(state["tree"])


def _tree(node: Node) -> list[Any]:
    return [node.cluster_ids, {key: _tree(child) for key, child in node.key_to_child_node.items()}]


def _node(state: list[Any]) -> Node:
    from drain3.drain import Node

    node = Node()
    node.cluster_ids = [int(one) for one in state[0]]
    node.key_to_child_node = {str(key): _node(child) for key, child in state[1].items()}
    return node
