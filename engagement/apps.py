from django.apps import AppConfig


class EngagementConfig(AppConfig):
    name = "engagement"

    def ready(self) -> None:
        from engagement import beside, needs, panels

        beside.install()
        panels.install()
        needs.install()
