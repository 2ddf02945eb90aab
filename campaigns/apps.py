from django.apps import AppConfig


class CampaignsConfig(AppConfig):
    name = "campaigns"

    def ready(self) -> None:
        from campaigns import checks, merging, panels
        from campaigns.planning import relying_on
        from customers.merges import LOCK, MOVE
        from segmentation.rule_uses import USES

        del checks  # imported for what it registers
        panels.install()
        USES.append(relying_on)
        LOCK.append(merging.lock)
        MOVE.append(merging.move)
