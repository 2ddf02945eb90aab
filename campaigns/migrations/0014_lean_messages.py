"""Fewer indexes and look-ups a message: a send writes a row of everybody."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('campaigns', '0013_guards'),
    ]

    operations = [
        migrations.AlterField(
            model_name='message',
            name='batch',
            field=models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='messages', to='campaigns.batch'),
        ),
        migrations.AlterField(
            model_name='message',
            name='provider_message_id',
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AlterField(
            model_name='message',
            name='send',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='messages', to='campaigns.send'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('provider_message_id__gt', '')), fields=['provider_message_id'], name='named_by_provider'),
        ),
    ]
