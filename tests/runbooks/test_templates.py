from __future__ import annotations

import promql_parser
import pytest

from runbooks.queries import render_query, render_statement
from runbooks.templates import BadTemplate, render, render_url, render_value


def test_one_expression_keeps_its_type():
    values = {"replicas": 3, "ratio": 0.5, "on": True, "name": "shop"}
    source = {
        "n": "{{ replicas }}",
        "list": ["{{ ratio }}", "{{ on }}"],
        "text": "{{ name }}-{{ replicas + 1 }}",
        "k": 7,
    }
    assert render_value(source, values) == {"n": 3, "list": [0.5, True], "text": "shop-4", "k": 7}


@pytest.mark.parametrize(
    "attack",
    [
        "{{ name.__class__.__mro__ }}",
        "{{ name['__class__'] }}",
        "{{ name|attr('__class__') }}",
        "{{ name() }}",
        "{{ ''.join }}",
        "{{ self._TemplateReference__context }}",
        "{{ self }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ range(9) }}",
        "{% for x in name %}{{ x }}{% endfor %}",
        "{% set x = 1 %}",
        "{% include '/etc/passwd' %}",
        "{{ 'a' * 1000000000 }}",
        "{{ name * 1000000000 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ '%01000000000d' % 1 }}",
        "{{ [name] }}",
        "{{ unknown }}",
        "{{ name",
        "{{ 1 / 0 }}",
        "{{ none }}",
        "x" * 9000,
    ],
)
def test_ways_out_of_a_template_are_refused(attack):
    with pytest.raises(BadTemplate):
        render_value({"argument": attack}, {"name": "shop"})


def test_a_value_that_looks_like_a_template_stays_text():
    assert render("echo {{ name }}", {"name": "{{ 7 * 7 }}"}) == "echo {{ 7 * 7 }}"


def test_output_is_bounded():
    with pytest.raises(BadTemplate, match="longer than"):
        render("{{ a }}" * 20, {"a": "x" * 1000})


def test_a_list_element_cannot_become_an_option():
    with pytest.raises(BadTemplate, match="option"):
        render_value({"args": ["--service", "{{ name }}"]}, {"name": "--config=/etc/evil"})
    assert render_value({"args": ["-n{{ name }}"]}, {"name": "x"}) == {"args": ["-nx"]}


@pytest.mark.parametrize("quote", ['"', "'"])
@pytest.mark.parametrize(
    "attack", ['a"} or vector(1) #', "a'} or vector(1) #", "a\\", '\\"} or up{x="', "`", "{{ x }}"]
)
def test_a_label_value_cannot_leave_its_quotes(quote, attack):
    parsed = promql_parser.parse(render_query(f"up{{p={quote}{{{{ v }}}}{quote},q={quote}end{quote}}}", {"v": attack}))
    assert isinstance(parsed, promql_parser.VectorSelector)
    assert {matcher.name: matcher.value for matcher in parsed.matchers.matchers} == {"p": attack, "q": "end"}


def test_a_value_in_a_regular_expression_is_literal():
    assert render_query('up{p=~"{{ v }}|x"}', {"v": ".*"}) == 'up{p=~"\\\\.\\\\*|x"}'
    assert render_query('up{a=~"x",p="{{ v }}"}', {"v": ".*"}) == 'up{a=~"x",p=".*"}'


def test_outside_quotes_only_words_numbers_and_durations():
    assert render_query("rate(x[{{ w }}]) > {{ n }}", {"w": "5m", "n": 2}) == "rate(x[5m]) > 2"
    for attack in ("5m]) or vector(1", "or", "x y", "up{", "1;2"):
        with pytest.raises(BadTemplate):
            render_query("rate(x[{{ w }}])", {"w": attack})


@pytest.mark.parametrize("query", ['up{p="{{ v }}"}', "up{p=`{{ v }}`}", "up # {{ v }}"])
@pytest.mark.parametrize("attack", ["a\nb", "a`b\n", "\x00"])
def test_control_characters_are_refused_in_queries(query, attack):
    with pytest.raises(BadTemplate):
        render_query(query, {"v": attack})


def test_urls_and_statements_keep_values_in_their_place():
    assert render_url("http://h/api/{{ v }}/x", {"v": "a/b?c#d"}) == "http://h/api/a%2Fb%3Fc%23d/x"
    with pytest.raises(BadTemplate):
        render_url("http://h/api/{{ v }}/x", {"v": ".."})
    assert render_statement("locks_{{ v }}", {"v": "eu"}) == "locks_eu"
    assert render_statement("orders-db/{{ v }}", {"v": "idle.2"}) == "orders-db/idle.2"
    for nested in ("a/b", "/", "/x", "x/", "..//x"):
        with pytest.raises(BadTemplate):
            render_statement("orders/{{ v }}", {"v": nested})
    with pytest.raises(BadTemplate):
        render_statement("locks_{{ v }}", {"v": "eu; drop table x"})
