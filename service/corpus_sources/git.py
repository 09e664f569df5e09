"""Markdown in a git repository at a ref, by the git command line.

Only the one commit is fetched, into a passing repository that has no hooks, no work tree and no submodules; nothing of
it is checked out. git never asks for a password: what it needs comes from its own configuration (a credential helper,
an SSH key).
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.domain.errors import BadInput
from service.corpus_sources.git_objects import Blobs
from service.corpus_sources.pages import MARKDOWN, MAX_PAGES, Found, Page, PageFault, too_large
from service.corpus_sources.source import CorpusSource, SourceFailed
from service.executors.bounded import Finished, run_bounded

ASK_SECONDS = 60.0
FETCH_SECONDS = 600.0
_LISTING = 64_000_000
"""Bytes of a listing: about 600,000 files."""

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SCP = re.compile(r"[^/:]+:(?!//).+")
_SCHEMES = ("https://", "http://", "ssh://", "git://", "file://")

# No program of the repository's or of a user's choice runs, but the credential helper and ssh.
_SAFE = (
    "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.askPass=", "protocol.allow=never",
    "protocol.https.allow=always", "protocol.http.allow=always", "protocol.ssh.allow=always",
    "protocol.git.allow=always", "protocol.file.allow=always", "submodule.recurse=false", "gc.auto=0",
    "maintenance.auto=false", "http.lowSpeedLimit=1000", "http.lowSpeedTime=30", "fetch.fsckObjects=true",
)  # fmt: skip
_PASSED = (
    "PATH", "HOME", "USER", "XDG_CONFIG_HOME", "SSH_AUTH_SOCK", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO",
    "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "SSL_CERT_FILE", "http_proxy", "https_proxy",
    "HTTPS_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY",
)  # fmt: skip


def is_local(place: str) -> bool:
    """Whether a repository is a path of this machine, not an address."""
    return "://" not in place and not _SCP.fullmatch(place)


def check_address(place: str, ref: str | None) -> None:
    """Raises BadInput for an address or a ref that is not taken, before git sees it."""
    if not place.isprintable() or place.startswith("-") or "::" in place:
        raise BadInput(f"{place!r} is no address of a git repository")
    if "://" in place and not place.startswith(_SCHEMES):
        raise BadInput(f"{place} must be a path or begin with one of {', '.join(_SCHEMES)}")
    if re.match(r"\w+://[^/@]*:[^/@]*@", place) or re.match(r"https?://[^/@]+@", place):
        raise BadInput("the address holds credentials; leave them to git's credential helper or an SSH key")
    if ref is not None and (not re.fullmatch(r"[\w./+-]{1,200}", ref) or ref.startswith("-") or ".." in ref):
        raise BadInput(f"{ref!r} is no branch, tag or full commit id", where="--ref")


def resolve(source: CorpusSource) -> tuple[str, str]:
    """(ref to fetch, commit id) of what the source names now. Raises SourceFailed: unreachable, no such ref."""
    ref = source.ref or "HEAD"
    if _COMMIT.fullmatch(ref):
        return ref, ref
    # As git itself reads a name: https://git-scm.com/docs/gitrevisions. A tag's own commit stands at `^{}`.
    names = [ref] if ref == "HEAD" or ref.startswith("refs/") else [f"refs/tags/{ref}", f"refs/heads/{ref}"]
    with tempfile.TemporaryDirectory(prefix="suture-git-") as folder:
        listed = _git(source, Path(folder), ASK_SECONDS, "ls-remote", "--quiet", "--", source.place, *names,
                      *(f"{name}^{{}}" for name in names))  # fmt: skip
    commits = {name: commit for commit, _, name in (line.partition("\t") for line in listed.splitlines())}
    for name in names:
        if name in commits:
            return name, commits.get(f"{name}^{{}}", commits[name])
    raise SourceFailed(f"{source.place} has no branch or tag {ref!r}; `git ls-remote` lists what there is")


@contextmanager
def open_repository(source: CorpusSource, stamp: str | None, limit: int) -> Iterator[Found]:
    """The Markdown of one commit. Nothing is fetched where `stamp`, of the last sync, is that commit already.

    Raises SourceFailed with git's own words.
    """
    ref, commit = resolve(source)
    if stamp == commit:
        yield Found(iter(()), ref=commit, stamp=commit)
        return
    with tempfile.TemporaryDirectory(prefix="suture-git-") as folder:
        repository = Path(folder)
        _git(source, repository, ASK_SECONDS, "init", "--quiet", "--bare", "--template=", "--", ".")
        _git(
            source, repository, FETCH_SECONDS, "fetch", "--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head",
            "--no-recurse-submodules", "--", source.place, f"+{ref}:refs/suture",
        )  # fmt: skip
        read = _git(source, repository, ASK_SECONDS, "rev-parse", "--verify", "refs/suture^{commit}").strip()
        under = ["--", source.under] if source.under else []
        listed = _git(source, repository, ASK_SECONDS, "ls-tree", "-r", "-z", "--long", "--full-tree", read, *under)
        with Blobs(repository, _environment(), _options()) as blobs:
            yield Found(_pages(listed, blobs, limit), ref=read, stamp=read)


def _pages(listed: str, blobs: Blobs, limit: int) -> Iterator[Page]:
    found = []
    for entry in listed.split("\0"):
        described, _, path = entry.partition("\t")
        if path.lower().endswith(MARKDOWN) and not any(part.startswith(".") for part in path.split("/")):
            mode, kind, blob, size = described.split()
            found.append((path, mode, kind, blob, size))
    if len(found) > MAX_PAGES:
        raise SourceFailed(f"the repository has {len(found)} pages, more than {MAX_PAGES}; name a folder with --under")
    for path, mode, kind, blob, size in sorted(found):

        def read(mode: str = mode, kind: str = kind, blob: str = blob, size: str = size) -> bytes:
            if mode == "120000" or kind != "blob":
                raise PageFault(1, "it is a link, which is not followed", "put the page itself there")
            if int(size) > limit:
                raise too_large(limit)
            return blobs.read(blob)

        yield Page(path, read, mark=f"{mode}:{blob}")


def _options() -> list[str]:
    return [part for setting in _SAFE for part in ("-c", setting)]


def _environment() -> dict[str, str]:
    own = {
        "GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes", "GIT_LITERAL_PATHSPECS": "1",
        "LC_ALL": "C",
    }  # fmt: skip
    return own | {name: os.environ[name] for name in _PASSED if name in os.environ}


def _git(source: CorpusSource, folder: Path, seconds: float, *arguments: str) -> str:
    try:
        ended = run_bounded(
            ["git", *_options(), *arguments],
            environment=_environment(),
            folder=folder,
            timeout=seconds,
            output_limit=_LISTING,
        )
    except OSError as error:
        raise SourceFailed(f"git cannot be started: {error.strerror}; install git") from error
    if ended.timed_out:
        raise SourceFailed(f"{source.place} did not answer within {seconds:g} s; check the network")
    if ended.exit_code:
        raise SourceFailed(_words(source, ended))
    if ended.stdout.truncated:
        raise SourceFailed(f"{source.place} has too many files to list; name a folder of it with --under")
    return ended.stdout.text


def _words(source: CorpusSource, ended: Finished) -> str:
    told = [line.strip() for line in ended.stderr.text.splitlines() if line.strip()]
    fatal = next((line for line in told if line.startswith("fatal:")), told[-1] if told else "git failed")
    if "does not appear to be a git repository" in ended.stderr.text:
        return f"{source.place} is no git repository; name one, or add the folder with --kind folder"
    if "terminal prompts disabled" in ended.stderr.text or "could not read Username" in ended.stderr.text:
        return f"{source.place} asks for a password; give git a credential helper, or use an SSH key"
    return f"{source.place} cannot be read: {fatal.removeprefix('fatal: ')}"
