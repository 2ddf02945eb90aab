"""When the shop answered an interaction: empty of all there are."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("customers", "0003_search")]
    operations = [
        migrations.AddField(
            model_name="interaction",
            name="answered_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
