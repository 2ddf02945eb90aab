"""Customers are found by an index of their words; see customers/searching.

It is made after the migrations, by searching.mend(), as it has to be made again after
one that rebuilds the table. Going back drops it.
"""

from django.db import migrations

from customers import searching


class Migration(migrations.Migration):
    dependencies = [("customers", "0002_merged_customer")]
    operations = [
        migrations.RunPython(migrations.RunPython.noop, searching.drop),
    ]
