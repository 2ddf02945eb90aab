from hypothesis import given
from hypothesis import strategies as st

from campaigns.content.mjml_tree import Text, Writer, parse_layout

TEXTS = st.text(alphabet="ab é<>&\"'{}%\u2028ا", max_size=30)


def _escaped(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@given(TEXTS.filter(lambda text: "{{" not in text and "{%" not in text))
def test_what_is_read_is_written_again(text):
    source = f"<mjml><mj-body><p>{_escaped(text)}</p></mj-body></mjml>"
    root = parse_layout(source)
    assert "".join(t.value for t in root.texts()) == text
    again = parse_layout(Writer().to_mjml(root))
    assert "".join(t.value for t in again.texts()) == text


def test_everything_knows_its_place():
    root = parse_layout('<mjml>\n  <mj-body\n    width="600px">\n</mj-body></mjml>')
    body = next(root.walk().__iter__()).children[1]
    assert (body.line, body.column) == (2, 3)
    assert (body.attributes["width"].line, body.attributes["width"].column) == (3, 5)


def test_entities_are_read():
    root = parse_layout("<mjml><p title='&quot;&eacute;'>&nbsp;&amp;&#8364;</p></mjml>")
    paragraph = root.children[0]
    assert paragraph.get("title") == '"é'
    assert paragraph.children == [Text("\xa0&€", 1, 33)]


def test_liquid_travels_behind_stand_ins():
    root = parse_layout('<mjml><p title="{{ a }}">{{ b | default: "<" }}</p></mjml>')
    writer = Writer()
    written = writer.to_mjml(root)
    assert "{{" not in written
    assert '<p title="{{ a }}">{{ b | default: "<" }}</p>' in writer.restore(written)


def test_a_comment_is_left_out():
    root = parse_layout("<mjml><p>a<!-- b <c> {{ d }} -->e</p></mjml>")
    assert [text.value for text in root.texts()] == ["a", "e"]
