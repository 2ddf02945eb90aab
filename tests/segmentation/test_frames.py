from datetime import UTC, datetime, timedelta

import pytest

from segmentation.frames import load_people, load_texts

MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize("hours_later", [1, 13, 25])
def test_a_day_is_capped_the_same_at_whatever_hour_it_is_folded(shop, hours_later):
    ann = shop.add(1)[0]
    for minutes in (-2, -1, 1, 2, 3, 4):
        shop.read(ann, MIDNIGHT + timedelta(minutes=minutes))
    texts = load_texts(load_people(), at=MIDNIGHT + timedelta(hours=hours_later))
    # Two of the day before count whole, of the four after midnight each a half.
    assert texts.weight.tolist() == [1, 1, 0.5, 0.5, 0.5, 0.5]
