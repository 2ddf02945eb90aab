from campaigns.content.designs import SharedBlocks, Words
from campaigns.content.mjml_tree import parse_layout
from campaigns.content.plaintext import to_text, words_to_text, wrap
from campaigns.content.render import render


def _text_of(inner, sender):
    root = parse_layout(
        f"<mjml><mj-body><mj-section><mj-column>{inner}</mj-column></mj-section>"
        "</mj-body></mjml>"
    )
    return to_text(root, Words("s"), SharedBlocks(), sender).split("\n\n--\n")[0]


def test_lines_are_at_most_72_characters():
    lines = wrap("word " * 60).split("\n")
    assert max(map(len, lines)) == 69
    assert sum(line.count("word") for line in lines) == 60


def test_an_address_stays_whole_however_long_it_is():
    address = "https://shop.example/" + "a" * 90
    assert wrap(f"See the pots: {address}") == f"See the pots:\n{address}"


def test_a_value_is_never_cut():
    value = '{{ customer.first_name | default: "there and everywhere" }}'
    assert value in wrap(f"{'word ' * 13}{value}, hello")


def test_a_value_keeps_the_comma_behind_it():
    assert wrap("Hi {{ a }}, you") == "Hi {{ a }}, you"


def test_the_second_line_of_an_item_stands_under_the_first():
    text = words_to_text(f"1. {'word ' * 16}")
    first, second = text.rstrip().split("\n")
    assert first.startswith("1. word")
    assert second == "   word word"


def test_a_condition_takes_its_blank_line_with_it():
    text = words_to_text("{% if a %}\nOne.\n{% endif %}\nTwo.")
    assert text == "{% if a %}One.\n\n{% endif %}Two.\n\n"


def test_a_button_reads_label_colon_address(sender):
    text = _text_of(
        '<mj-button href="https://shop.example/a">See it</mj-button>', sender
    )
    assert text == "See it: https://shop.example/a"


def test_a_link_within_a_sentence_shows_where_it_leads(sender):
    inner = (
        '<mj-text>Read <a href="https://shop.example/b">the guide</a> first.</mj-text>'
    )
    assert _text_of(inner, sender) == "Read the guide: https://shop.example/b first."


def test_headings_lists_and_pictures_are_told(sender):
    inner = (
        "<mj-text><h1>Spring</h1><ul><li>One</li><li>Two</li></ul></mj-text>"
        '<mj-image src="https://shop.example/a.png" alt="A fern" />'
    )
    assert _text_of(inner, sender) == "Spring\n\n- One\n- Two\n\n[A fern]"


def test_the_whole_text_reads_like_a_letter(variant, ines):
    text = render(variant, ines).text
    assert text.startswith(
        "Fresh pots & fresh soil\n\nHello Ines,\n\nwinter is a quiet"
    )
    assert "1. Choose a pot two fingers wider.\n2. Order it.\n3. Repot.\n\n" in text
    assert f"See the pots: {ines.links.click(0)}\n" in text
    assert "15 % off pots with the code ROOTS, until 31 December." in text


def test_the_footer_has_the_way_out_and_the_postal_address(variant, ines):
    footer = render(variant, ines).text.split("\n--\n")[1]
    assert footer == (
        "You get this because you ordered from us.\n"
        "Your choices, and what we keep about you:\n"
        f"{ines.links.preferences}\n"
        "Unsubscribe:\n"
        f"{ines.links.unsubscribe}\n"
        "Linden & Loam, 8 Sample Lane, Northport NP1 2AB\n"
    )
