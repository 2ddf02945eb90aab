"""The generator and others, loaded by path: tests are not a package."""

import fcntl
import importlib.util
import os
import sys
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest


def by_path(name):
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"segment_{name}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[f"segment_{name}"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def generator():
    return by_path("generator")


@pytest.fixture(scope="session")
def read_history(tmp_path_factory):
    """histories.read_history(), each file once, however many processes test."""
    histories = by_path("histories")
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent

    def read(path):
        kept = folder / f"{path.name}.npz"
        with kept.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                np.savez(kept, **vars(histories.read_history(path)))
        with np.load(kept) as arrays:
            columns = dict(arrays)
        return histories.History(**columns | {"customers": int(columns["customers"])})

    return read


@pytest.fixture(scope="session")
def soundness():
    return by_path("soundness")


@pytest.fixture
def shop(db):
    """Customers by number, and runs that put them where a test wants them."""
    return Shop()


class Shop:
    added = 0

    def add(self, count):
        from customers.models import Customer

        first, self.added = self.added, self.added + count
        return Customer.objects.bulk_create(
            Customer(external_id=f"c{n}", email=f"c{n}@example.com")
            for n in range(first, self.added)
        )

    def sort(self, places, *, at, state="fitted", scored=1000):
        """A run that is not in use yet; places: {customer: key of a segment}."""
        from segmentation.models import Membership, Segment, SegmentationRun

        segments = {segment.key: segment for segment in Segment.objects.all()}
        sizes = dict.fromkeys(segments, 0)
        for key in places.values():
            sizes[key] += 1
        run = SegmentationRun.objects.create(
            state=state,
            cut_off=at,
            segmenter="anchored",
            model={"customers": scored, "seed": 0, "kappa": 6.5, "temper": 0.8},
            customers=len(places),
            quality={"sizes": sizes, "renamed_share": 0.0, "largest_shift": 0.0},
        )
        Membership.objects.bulk_create(
            Membership(
                run=run,
                customer=customer,
                segment=segments[key],
                probability=0.8,
                evidence=2.0,
                since=at,
            )
            for customer, key in places.items()
        )
        return run

    def publish(self, places, *, at, **more):
        from segmentation.publishing import publish_run

        return publish_run(self.sort(places, at=at, **more), at=at)

    def read(self, customer, when, *, family="trust", weight=1.0, kind="review"):
        """A text that was read as being mostly of one family."""
        [score] = self.read_all([(customer, when, family)], weight=weight, kind=kind)
        return score

    def read_all(self, texts, *, weight=1.0, kind="review"):
        """The same of many: (customer, when, family)."""
        import numpy as np

        from customers.models import Interaction
        from segmentation.emotion.families import FAMILIES
        from segmentation.models import EmotionScore
        from segmentation.news import mark

        mixes = []
        rows = []
        for customer, when, family in texts:
            mix = np.full(len(FAMILIES), 0.02, "<f4")
            mix[FAMILIES.index(family)] = 0.84
            mixes.append(mix)
            rows.append(
                Interaction(
                    customer=customer,
                    occurred_at=when,
                    kind=kind,
                    key=str(uuid4()),
                    text="x",
                )
            )
        Interaction.objects.bulk_create(rows)
        mark({row.customer_id for row in rows})
        return EmotionScore.objects.bulk_create(
            EmotionScore(
                interaction=row,
                customer=row.customer,
                occurred_at=row.occurred_at,
                kind=kind,
                families=mix.tobytes(),
                weight=weight,
                sentences=[["x", mix.tolist(), 1.0]],
                analyzer="test",
            )
            for row, mix in zip(rows, mixes, strict=True)
        )
