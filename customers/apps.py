from django.apps import AppConfig
from django.db.models.signals import post_migrate


class CustomersConfig(AppConfig):
    name = "customers"

    def ready(self) -> None:
        from customers import lookups, searching

        del lookups  # imported for what it registers
        post_migrate.connect(searching.mend, sender=self)
