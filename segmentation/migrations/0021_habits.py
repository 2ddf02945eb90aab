"""News of clicks, visits and orders alone is told from other news."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("segmentation", "0020_first_places")]
    operations = [
        migrations.AddField(
            model_name="news",
            name="habits_only",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
