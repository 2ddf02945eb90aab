"""Messages of large sends by state, as they were counted last."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('campaigns', '0004_in_doubt'),
    ]

    operations = [
        migrations.CreateModel(
            name='SendCount',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('states', models.JSONField(default=dict)),
                ('counted_at', models.DateTimeField()),
                ('took_seconds', models.FloatField(default=0.0)),
                ('send', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='count', to='campaigns.send')),
            ],
        ),
    ]
