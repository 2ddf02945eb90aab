from django.apps import AppConfig


class EngagementConfig(AppConfig):
    name = "engagement"

    def ready(self) -> None:
        from engagement import beside, needs, opens, panels

        beside.install()
        panels.install()
        needs.install()
        opens.install()
