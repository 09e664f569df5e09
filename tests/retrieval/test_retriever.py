from __future__ import annotations

from langchain_core.runnables import RunnableLambda

from retrieval.index import PassageIndex
from retrieval.retriever import PassageRetriever


def test_it_stands_in_a_chain_and_its_spans_are_those_of_the_document(hashing, library):
    index = PassageIndex(None, hashing)
    index.sync(library)
    chain = PassageRetriever(index=index, k=2) | RunnableLambda(lambda documents: documents)
    found = chain.invoke("openssl certificate server.pem")
    assert len(found) == 2
    best = found[0]
    text = next(document.text for document in library if document.id == best.metadata["document"])
    assert best.metadata["document"] == "certificate-expired"
    assert text[best.metadata["start"] : best.metadata["end"]] == best.page_content
    assert best.metadata["headings"][0] == "Certificate expired"
    assert best.metadata["score"] >= found[1].metadata["score"]


def test_it_keeps_one_kind(hashing, library):
    index = PassageIndex(None, hashing)
    index.sync(library)
    found = PassageRetriever(index=index, kind="postmortem").invoke("the")
    assert {document.metadata["kind"] for document in found} == {"postmortem"}
