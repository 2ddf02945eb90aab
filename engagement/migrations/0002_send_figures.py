"""What a large send came to is kept with it."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('campaigns', '0003_audience_count'),
        ('engagement', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='SendFigures',
            fields=[
                ('send', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='figures', serialize=False, to='campaigns.send')),
                ('figures', models.JSONField()),
                ('counted_at', models.DateTimeField()),
                ('took_seconds', models.FloatField()),
                ('last_event', models.BigIntegerField(default=0)),
            ],
        ),
    ]
