import pytest

from engagement.verdict import HUMAN, MACHINE, PROBABLE, PROXY, Hit, judge

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
GMAIL = "Mozilla/5.0 (Windows NT 5.1) Gecko (via ggpht.com GoogleImageProxy)"


def test_a_browser_an_hour_later_is_a_person():
    hit = Hit(is_click=True, user_agent=FIREFOX, seconds_since_handover=3600)
    assert judge(hit) == (HUMAN, ())


@pytest.mark.parametrize("agent", ["Googlebot/2.1", "curl/8.0", "python-requests/2"])
def test_what_calls_itself_a_machine_is_one(agent):
    verdict, reasons = judge(Hit(is_click=False, user_agent=agent))
    assert verdict == MACHINE
    assert reasons == ("calls itself a machine",)


def test_apples_privacy_fetch_is_nobodys_open():
    assert judge(Hit(is_click=False, user_agent="Mozilla/5.0"))[0] == PROXY


def test_gmails_picture_proxy_stands_for_a_person():
    assert judge(Hit(is_click=False, user_agent=GMAIL))[0] == PROBABLE


def test_a_click_nine_seconds_after_the_hand_over_is_a_scanner():
    early = Hit(is_click=True, user_agent=FIREFOX, seconds_since_handover=9)
    verdict, reasons = judge(early)
    assert verdict == MACHINE
    assert "9.0 s after the hand-over" in reasons


def test_an_open_three_seconds_after_the_hand_over_may_be_a_person():
    early = Hit(is_click=False, user_agent=FIREFOX, seconds_since_handover=3)
    assert judge(early)[0] == HUMAN


def test_following_every_link_at_once_is_a_machine():
    hit = Hit(is_click=True, user_agent=FIREFOX, links_in_burst=4, links_in_mail=5)
    assert judge(hit)[0] == MACHINE


def test_two_links_in_a_hurry_are_still_a_person():
    hit = Hit(is_click=True, user_agent=FIREFOX, links_in_burst=2, links_in_mail=2)
    assert judge(hit)[0] == HUMAN


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_asking_ahead_is_not_following(method):
    assert judge(Hit(is_click=True, user_agent=FIREFOX, method=method))[0] == MACHINE


def test_a_prefetch_is_a_machine_even_from_a_browser():
    assert judge(Hit(is_click=True, user_agent=FIREFOX, prefetch=True))[0] == MACHINE
