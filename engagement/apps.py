from django.apps import AppConfig


class EngagementConfig(AppConfig):
    name = "engagement"

    def ready(self) -> None:
        from engagement import needs, panels, receivers

        del receivers  # imported for its receiver
        panels.install()
        needs.install()
