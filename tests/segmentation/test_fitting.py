"""What happens beside a fit: customers come, go and object while it runs."""

import pytest

from customers.models import Customer
from customers.services import object_to_profiling
from segmentation import services
from segmentation.models import EmotionProfile, Membership
from segmentation.publishing import publish_run
from segmentation.services import fit_run, memberships_of, published_run


@pytest.fixture
def meanwhile(monkeypatch):
    """Does something in the middle of a fit, before or after a step of it."""

    def meanwhile(step, act):
        real = getattr(services, step)

        def both(*given, **more):
            found = real(*given, **more)
            act()
            return found

        monkeypatch.setattr(services, step, both)

    return meanwhile


def test_who_joins_while_a_run_loads_is_not_in_it(shop, at, meanwhile):
    ann = shop.add(1)[0]
    shop.read(ann, at)
    meanwhile("load_people", lambda: shop.read(shop.add(1)[0], at))
    run = fit_run(at=at)
    assert [place.customer for place in run.memberships.all()] == [ann]
    assert EmotionProfile.objects.get().texts == 1


@pytest.mark.parametrize("step", ["load_people", "load_deeds", "fit_model"])
def test_who_goes_while_a_run_is_fitted_is_not_in_it(shop, at, meanwhile, step):
    people = shop.add(3)
    for person in people:
        shop.read(person, at)
    meanwhile(step, lambda: Customer.objects.filter(pk=people[1].pk).delete())
    run = fit_run(at=at)
    kept = [place.customer for place in run.memberships.order_by("customer")]
    assert kept == [people[0], people[2]]


@pytest.mark.parametrize("step", ["load_people", "load_deeds", "fit_model"])
def test_who_objects_while_a_run_is_fitted_gets_nothing_back(shop, at, meanwhile, step):
    ann, ben = shop.add(2)
    for person in (ann, ben):
        shop.read(person, at)
    meanwhile(step, lambda: object_to_profiling(ann, source="test", at=at))
    publish_run(fit_run(at=at), at=at)
    assert [profile.customer for profile in EmotionProfile.objects.all()] == [ben]
    place = memberships_of([ann.pk])[ann.pk]
    assert (place.segment.key, place.probability) == ("unknown", 0)
    assert published_run().quality["sizes"]["unknown"] == 1


def test_a_profile_goes_with_the_last_text(shop, at):
    ann, ben = shop.add(2)
    gone = shop.read(ann, at)
    shop.read(ben, at)
    fit_run(at=at)
    gone.interaction.delete()
    fit_run(at=at)
    assert [profile.customer for profile in EmotionProfile.objects.all()] == [ben]
    assert Membership.objects.filter(customer=ann).count() == 2
