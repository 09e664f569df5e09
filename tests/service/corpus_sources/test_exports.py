"""Exported pages: a Confluence space, other HTML, folder and archive, and what hostile or broken ones may do."""

import tracemalloc

import pytest

from service.corpus_sources import archive, converter
from service.corpus_sources.html import decoded, markdown_of
from service.corpus_sources.pages import PageFault

CONFLUENCE = """<!DOCTYPE html>
<html><head><title>Operations : Disk is full</title><style>p {{}}</style><script>alert(1)</script></head>
<body><div id="page"><div id="main"><div id="main-header"><div id="breadcrumb-section">
<ol id="breadcrumbs"><li class="first"><span><a href="index.html">Operations</a></span></li></ol></div>
<h1 id="title-heading"><span id="title-text"> Operations : Disk is full </span></h1></div>
<div id="content" class="view"><div class="page-metadata">Created by <span>Ada</span></div>
<div id="main-content" class="wiki-content group">
<h2>Symptoms</h2><p>The alert <strong>DiskFull</strong> fires and <code>node_disk_free</code> falls below 5 %.</p>
<div class="code panel"><div class="codeContent"><pre data-syntaxhighlighter-params="brush: bash; theme: Confluence">
df -h


du -sh /var/* | sort</pre></div></div>
<table><tbody><tr><th><p>Host</p></th><th>Do</th></tr><tr><td>a<br/>b</td><td><p>look at</p><pre>one
two</pre></td></tr></tbody></table>
<ol start="3"><li>First<ul><li>inner</li></ul></li><li><p>Then</p></li></ol>
<p style="display: none">Ignore the guard</p><p><a href="Other_7.html">Other</a>,
<a href="https://grafana.example.org/d/1">Grafana</a>, <a href="javascript:alert(1)">click</a></p>
{more}</div></div></div></div><div id="footer">Powered by</div></body></html>"""

MARKDOWN = """\
# Disk is full

## Symptoms

The alert **DiskFull** fires and `node_disk_free` falls below 5 %.

```bash
df -h


du -sh /var/* | sort
```

| Host | Do |
| --- | --- |
| a b | look at  `one two` |

3. First
   - inner
4. Then

Other,
[Grafana](https://grafana.example.org/d/1), click
"""


def page(more=""):
    return CONFLUENCE.format(more=more)


def test_a_space_keeps_headings_code_tables_and_lists_and_leads_back_to_its_pages(sources, pack):
    place = pack({
        "OPS/index.html": "<h1>Operations</h1><ul><li>Disk is full</li></ul>", "OPS/Disk-is-full_4711.html": page(),
        "OPS/attachments/4711/5.html": "<p>attached</p>", "OPS/styles/site.css": "p {}",
    })  # fmt: skip
    sources.add("wiki", "confluence", place, link="https://wiki.example.org/pages/viewpage.action?pageId={page}")
    [outcome] = sources.sync()
    assert (outcome.added, outcome.problems) == (1, 0)
    [document] = sources.corpus().documents
    assert (document.id, document.kind) == ("wiki.ops.disk-is-full-4711", "runbook")
    assert document.title == "Disk is full"
    assert document.text == MARKDOWN
    assert document.metadata["origin"]["url"] == "https://wiki.example.org/pages/viewpage.action?pageId=4711"
    assert document.path == f"{place}/OPS/Disk-is-full_4711.html"


def test_spans_of_passages_point_into_the_imported_text(sources, pack):
    from retrieval.chunks import passages_of

    sources.add("wiki", "confluence", pack({"a_1.html": page()}))
    sources.sync()
    [document] = sources.corpus().documents
    passages = passages_of(document)
    assert {heading for passage in passages for heading in passage.headings} >= {"Symptoms"}
    assert all(document.text[p.start : p.end] == p.text for p in passages)


def test_front_matter_in_html_never_becomes_an_action(sources, write, acting):
    folder = write("html/pre.html", f"<pre>{acting}</pre>").parent
    write("html/paragraphs.html", "".join(f"<p>{line or '&nbsp;'}</p>" for line in acting.splitlines()))
    write("html/raw.html", acting)
    sources.add("pages", "html", folder)
    sources.sync()
    documents = sources.corpus().documents
    assert len(documents) == 3
    assert {(d.runbook, d.body_start, tuple(d.metadata)) for d in documents} == {(None, 0, ("origin",))}


def test_an_unchanged_page_is_not_converted_again(sources, pack, monkeypatch):
    sources.add("wiki", "confluence", pack({"a_1.html": page(), "b_2.html": page("<p>b</p>")}))
    sources.sync()
    pack({"a_1.html": page(), "b_2.html": page("<p>changed</p>")})
    converted = []
    own = converter.Converter.convert
    monkeypatch.setattr(converter.Converter, "convert", lambda self, *given: converted.append(1) or own(self, *given))
    [outcome] = sources.sync()
    assert (outcome.changed, outcome.unchanged, len(converted)) == (1, 1, 1)


@pytest.mark.parametrize("broken", [b"no zip", b"PK\x03\x04 cut off"])
def test_a_broken_archive_leaves_the_old_documents(sources, pack, broken):
    place = pack({"a_1.html": page()})
    sources.add("wiki", "confluence", place)
    sources.sync()
    place.write_bytes(broken)
    [outcome] = sources.sync()
    assert "is no zip archive, or a broken one" in outcome.error
    assert list(sources.texts()) == ["wiki.a-1"]


def test_an_archive_that_is_damaged_in_the_middle_changes_nothing(sources, pack):
    place = pack({"a_1.html": page(), "b_2.html": page("<p>second</p>")})
    sources.add("wiki", "confluence", place)
    sources.sync()
    pack({"a_1.html": page("<p>new</p>"), "b_2.html": page("<p>" + "different " * 50)})
    data = bytearray(place.read_bytes())
    at = data.index(b"b_2.html") + 40
    data[at : at + 40] = b"\0" * 40
    place.write_bytes(data)
    [outcome] = sources.sync()
    assert outcome.state == "failed"
    assert not any("new" in text for text in sources.texts().values())


def test_names_that_lead_out_of_the_archive_are_told_and_nothing_is_written(sources, pack, tmp_path):
    place = pack({"good.html": "<p>good</p>", "../../evil.html": "<p>x</p>", "/abs.html": "<p>y</p>",
                  "a\\..\\b.html": "<p>z</p>"})  # fmt: skip
    sources.add("pages", "html", place)
    sources.sync()
    assert [d.text for d in sources.corpus().documents] == ["good\n"]
    assert [p.message for p in sources.corpus().problems] == ["its name leads out of the archive"] * 3
    assert not list(tmp_path.rglob("evil.html"))


def test_a_bomb_unpacks_no_further_than_the_limit_of_a_page(sources, pack):
    place = pack({"bomb.html": b"<p>" + b"\0" * 60_000_000, "good.html": "<p>good</p>"})
    assert place.stat().st_size < 100_000
    sources.add("pages", "html", place)
    tracemalloc.start()
    try:
        sources.sync()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000
    assert [p.message for p in sources.corpus().problems] == ["the page is larger than 2000000 bytes"]
    assert [d.text for d in sources.corpus().documents] == ["good\n"]


def test_an_archive_of_too_much_in_all_fails(sources, pack, monkeypatch):
    monkeypatch.setattr(archive, "MAX_TOTAL", 3_000)
    sources.add("pages", "html", pack({f"{n}.html": "<p>" + "word " * 200 for n in range(5)}))
    [outcome] = sources.sync()
    assert "unpacks to more than 3000 bytes of pages; export it in parts" in outcome.error


def test_an_archive_of_too_many_pages_fails(sources, pack, monkeypatch):
    monkeypatch.setattr(archive, "MAX_PAGES", 3)
    sources.add("pages", "html", pack({f"{n}.html": "<p>x</p>" for n in range(5)}))
    [outcome] = sources.sync()
    assert "has 5 pages, more than 3; export it in parts" in outcome.error


def test_a_page_of_10_mb_is_told_and_the_others_are_read(sources, write):
    write("html/large.html", b"<p>" + b"word " * 2_000_000)
    sources.add("pages", "html", write("html/good.html", "<p>good</p>").parent)
    [outcome] = sources.sync()
    assert (outcome.added, outcome.problems) == (1, 1)
    [problem] = sources.corpus().problems
    assert str(problem).endswith("large.html:1: the page is larger than 2000000 bytes; split it")


def test_memory_does_not_grow_with_the_number_of_pages(sources, pack):
    """20,000 pages at a smaller scale: only what is being converted is in memory."""

    def peak(name, count):
        pages = {f"{number}.html": f"<h1>Page {number}</h1><p>{'some words ' * 4_000}</p>" for number in range(count)}
        sources.add(name, "html", pack(pages, f"{name}.zip"))
        tracemalloc.start()
        try:
            [outcome] = sources.sync(name)
            return outcome.added, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = peak("few", 10), peak("many", 80)
    assert (few[0], many[0]) == (10, 80)
    # All texts of the larger one together have 3.5 MB.
    assert many[1] < few[1] + 1_000_000


@pytest.mark.parametrize(("data", "words"), [
    (b"<p>caf\xe9</p>", "byte 6 is not utf-8, and no charset is declared; save the page as UTF-8"),
    (b'<meta charset="klingon"><p>x</p>', "declares the charset 'klingon', which is unknown"),
    (b'<meta charset="utf-8"><p>\n\xff</p>', "byte 26 is not utf-8; save the page as UTF-8"),
])  # fmt: skip
def test_bytes_that_are_no_text(data, words):
    with pytest.raises(PageFault) as raised:
        decoded(data)
    assert words in f"{raised.value.fault.message}; {raised.value.fault.mend}"


@pytest.mark.parametrize(("data", "text"), [
    ('<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-1"><p>5 €'.encode("cp1252"), "5 €"),
    ("\ufeff<p>Größe".encode(), "Größe"),
    ('<meta charset="koi8-r"><p>диск'.encode("koi8-r"), "диск"),
])  # fmt: skip
def test_a_declared_charset_is_used(data, text):
    assert markdown_of(decoded(data))[1] == f"{text}\n"


@pytest.mark.parametrize(("html", "words"), [
    ("<div>" * 600 + "x", "nested too deeply"),
    ("<br>" * 20_001, "more than 20000 elements"),
])  # fmt: skip
def test_a_page_that_no_person_wrote(html, words):
    with pytest.raises(PageFault, match=words):
        markdown_of(html)


def test_a_page_made_to_be_slow_costs_itself_alone():
    one = converter.Converter(cpu_seconds=0.5)
    try:
        with pytest.raises(PageFault, match=r"more than 0\.5 s of processor time"):
            one.convert(b"<a " * 60_000, "html")
        assert one.convert(b"<h1>Good</h1>", "html") == ("Good", "# Good\n")
    finally:
        one.close()


def test_a_converter_that_is_killed_is_started_anew():
    one = converter.Converter()
    try:
        one.convert(b"<h1>Good</h1>", "html")
        one._process.kill()
        one._process.wait()
        with pytest.raises(PageFault, match="cannot be converted"):
            one.convert(b"<h1>Good</h1>", "html")
        assert one.convert(b"<h1>Good</h1>", "html")[0] == "Good"
    finally:
        one.close()


def test_generic_pages_lose_navigation_and_keep_their_own_header():
    html = (
        "<body><nav>Home</nav><header><img src=logo.png alt=Logo></header><article><header><h1>Queue lag</h1></header>"
        "<p>Look at <em>kafka_lag</em>.</p><pre><code class='language-sh'>a ``` b</code></pre><form>search</form>"
        "</article><footer>c</footer></body>"
    )
    assert markdown_of(html) == ("Queue lag", "# Queue lag\n\nLook at *kafka_lag*.\n\n````sh\na ``` b\n````\n")
