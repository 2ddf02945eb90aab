from django.apps import AppConfig
from django.db.models.signals import post_migrate


class SegmentationConfig(AppConfig):
    name = "segmentation"

    def ready(self) -> None:
        from segmentation import canonical, customer_panel

        post_migrate.connect(canonical.add_missing, sender=self)
        customer_panel.install()
