from django.apps import AppConfig
from django.db.models.signals import post_migrate


class SegmentationConfig(AppConfig):
    name = "segmentation"

    def ready(self) -> None:
        from customers.merges import LOCK, MOVE
        from customers.news import CHANGED, RECORDED
        from customers.objection import FORGET
        from segmentation import (
            canonical,
            customer_panel,
            history_panels,
            merging,
            news,
            reading_mark,
        )
        from segmentation.services import forget_inferences

        post_migrate.connect(canonical.add_missing, sender=self)
        customer_panel.install()
        history_panels.install()
        FORGET.append(forget_inferences)
        RECORDED.append(news.hear_recorded)
        CHANGED.append(news.hear_changed)
        CHANGED.append(reading_mark.hear_changed)
        LOCK.append(merging.lock)
        MOVE.append(merging.move)
